from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import DataError
from understudy.tasks.rows import file_fingerprint, read_file

ROWS = [{"question": 'a "b", {c}\n', "n": 1}, {"question": "é", "n": 2}]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path) -> None:
    lines = "\n\n".join(json.dumps(row) for row in ROWS)
    jsonl, bom = write(tmp_path, "a.jsonl", lines), write(tmp_path, "b.jsonl", b"\xef\xbb\xbf" + lines.encode())
    array, loose = write(tmp_path, "c.json", json.dumps(ROWS, indent=1)), write(tmp_path, "d.json", lines)
    table = tmp_path / "e.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), table)
    for file in (jsonl, bom, array, loose, table):
        assert [row.columns for row in read_file(file)] == ROWS
    sheet = write(tmp_path, "f.csv", '\ufeffquestion,n\r\n"a ""b"", {c}\n",1\r\n\r\né,2\r\n')
    assert [row.columns for row in read_file(sheet)] == [{**row, "n": str(row["n"])} for row in ROWS]


def test_places_are_lines_where_lines_exist(tmp_path: Path) -> None:
    jsonl = write(tmp_path, "a.jsonl", '{"a": 1}\n\n{"a": 2}\n')
    assert [row.place for row in read_file(jsonl)] == ["line 1", "line 3"]
    assert [row.place for row in read_file(write(tmp_path, "a.csv", 'a\n"x\ny"\nz\n'))] == ["line 3", "line 4"]
    assert [row.place for row in read_file(write(tmp_path, "a.json", "[{}, {}]"))] == ["row 1", "row 2"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.jsonl", "\n \n", "a.jsonl is empty"),
        ("a.json", "[]", "a.json is empty"),
        ("a.csv", "a,b\n", "a.csv is empty"),
        ("a.csv", "", "a.csv is empty"),
        ("a.jsonl", '{"a": 1}\n{"a": \n{"a": 3}', "a.jsonl, line 2 is not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}', "a.jsonl, line 2 is not UTF-8"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "a.jsonl, line 2 is no row"),
        ("a.jsonl", '{"a": 1}\n' + "[" * 100_000, "a.jsonl, line 2 is not valid JSON: nested too deeply"),
        ("a.jsonl", '{"a": ' + "1" * 5000 + "}", "a.jsonl, line 1 is not valid JSON"),
        ("a.json", '[\n{"a": 1},\n{"a" 2}]', "a.json, line 3 is not valid JSON"),
        ("a.json", "", "a.json, line 1 is not valid JSON"),
        ("a.json", '{"rows": []}', "a.json is no list of rows; got dict"),
        ("a.json", '[{"a": 1}, 2]', "a.json, row 2 is no row"),
        ("a.json", '{"a": 1}\n{"a": 2\n', "a.json, line 2 is not valid JSON"),
        ("a.csv", "a,b\n1,2\n3\n", "a.csv, line 3 is broken; got 1 cells; expected 2 cells"),
        ("a.csv", 'a,b\n1,"2\n', "a.csv, line 2 is not valid CSV"),
        ("a.csv", "a,a\n1,2\n", "two columns are called 'a'"),
        ("a.csv", b"a,b\n1,2\n\xff,3\n", "a.csv, line 3 is not UTF-8"),
        ("a.parquet", "no parquet", "a.parquet is not valid Parquet"),
        ("a.parquet", "", "a.parquet is not valid Parquet"),
        ("a.pkl", b"\x80\x04.", "a.pkl is no data file; got '.pkl'"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    assert said in refused(write(tmp_path, name, content))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    file = write(tmp_path, "train.jsonl", "{}")
    assert f"Did you mean {file}?" in refused(tmp_path / "trian.jsonl")
    assert "does not exist" in refused(tmp_path / "no-folder" / "train.jsonl")
    assert "a folder" in refused(tmp_path)


def test_a_broken_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    file.write_bytes(file.read_bytes()[:-20])
    assert "not valid Parquet" in refused(file)


def test_the_fingerprint_follows_the_bytes(tmp_path: Path) -> None:
    one, same, other = (write(tmp_path, f"{i}.json", text) for i, text in enumerate(["[1]", "[1]", "[2]"]))
    assert file_fingerprint(one) == file_fingerprint(same) != file_fingerprint(other)
    with pytest.raises(DataError, match="does not exist"):
        file_fingerprint(tmp_path / "none.json")


@settings(deadline=None, max_examples=120)
@given(
    content=st.binary(max_size=80) | st.text('{}[]",:\n\r\t a1\\', max_size=60).map(str.encode),
    suffix=st.sampled_from([".json", ".jsonl", ".csv", ".parquet"]),
)
def test_garbage_raises_nothing_but_a_data_error(
    content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("garbage") / f"data{suffix}"
    file.write_bytes(content)
    try:
        assert all(isinstance(row.columns, dict) for row in read_file(file))
    except DataError as error:
        assert str(file) in str(error)
