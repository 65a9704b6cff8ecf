"""A run goes on with the data it began with, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import RunDirectoryError
from understudy.training.data_record import keep


def record(**prints: str) -> dict[str, object]:
    entries = [{"name": name, "dataset": f"{name}.jsonl", "fingerprint": mark} for name, mark in prints.items()]
    return {"training": entries, "suites": [{"name": "test", "dataset": "test.jsonl", "fingerprint": "t1"}]}


def test_the_first_record_is_kept_and_the_same_data_goes_on(tmp_path: Path) -> None:
    keep(tmp_path, record(a="1", b="2"))
    assert json.loads((tmp_path / "data.json").read_text()) == record(a="1", b="2")
    keep(tmp_path, record(b="2", a="1"))


@pytest.mark.parametrize("section", ["training", "suites"])
def test_other_data_is_refused_and_the_record_stays(tmp_path: Path, section: str) -> None:
    keep(tmp_path, record(a="1"))
    other = json.loads(json.dumps(record(a="1")))
    other[section][0]["fingerprint"] = "9"
    with pytest.raises(RunDirectoryError, match=r"has changed since .* began; got 9; expected \w+\. Put the data back"):
        keep(tmp_path, other)
    assert json.loads((tmp_path / "data.json").read_text()) == record(a="1")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"training": [{}]}', '{"training": 3}'])
def test_a_record_that_cannot_be_read_is_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "data.json").write_text(content)
    keep(tmp_path, record(a="1"))
    assert json.loads((tmp_path / "data.json").read_text()) == record(a="1")
