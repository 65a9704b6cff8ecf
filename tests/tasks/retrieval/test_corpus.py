"""A corpus that stays in its file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from understudy.errors import DataError
from understudy.tasks.retrieval import build_index, is_index_of, open_index

ROWS = [{"id": "a", "contents": '"Moon"\nIt has no air: café.'}, {"id": 7, "contents": "Mars is red."}]


def corpus(folder: Path, *lines: object) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_documents_come_from_the_file(tmp_path) -> None:
    path, folder = corpus(tmp_path, ROWS[0], "", ROWS[1]), tmp_path / "index"
    folder.mkdir()
    build_index(path, folder)
    assert is_index_of(path, folder)
    found = open_index(path, folder).retrieve(["café", "red mars"], top_k=3)
    assert [[(hit.document.id, hit.document.contents) for hit in hits] for hits in found] == [
        [("a", ROWS[0]["contents"])],
        [("7", "Mars is red.")],
    ]


def test_a_file_that_changed_needs_another_index(tmp_path) -> None:
    path, folder = corpus(tmp_path, *ROWS), tmp_path / "index"
    assert not is_index_of(path, folder)
    folder.mkdir()
    build_index(path, folder)
    os.utime(path, ns=(1, 1))
    assert not is_index_of(path, folder)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "is empty"),
        ([ROWS[0], "{"], "line 2 is not valid JSON"),
        ([{"id": "a"}], r"line 1 is no document; got \['id'\]; expected.*contents"),
        (["[1]"], "line 1 is no document"),
        ([{"id": "a", "contents": "?"}], "nothing to search in"),
    ],
)
def test_what_is_no_corpus_is_said_in_a_sentence(tmp_path, lines, said) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    with pytest.raises(DataError, match=said):
        build_index(corpus(tmp_path, *lines), folder)


def test_a_missing_corpus_is_said(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read: no such file"):
        build_index(tmp_path / "none.jsonl", tmp_path)
