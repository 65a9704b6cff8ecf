"""Samples that are kept as they come survive whatever ends the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.test_attempts import sample
from understudy.errors import UserMistakeError
from understudy.evaluation.journal import journal_at, key_of

ABOUT = {"suite": "s", "seed": 1, "settings": {"k": 2}}


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "s.jsonl"
    first, second = sample("p", correct=True, answer="7"), sample("q", correct=False)
    with journal_at(file, ABOUT) as journal:
        journal.add({0: first})
        journal.add({1: second})
    with journal_at(file, ABOUT) as journal:
        assert journal.samples == {0: first, 1: second}


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_was_cut_short_costs_itself_alone(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "s.jsonl"
    with journal_at(file, ABOUT) as journal:
        journal.add({0: sample("p", correct=True)})
        journal.add({1: sample("q", correct=True)})
    file.write_bytes(file.read_bytes()[:-cut])
    with journal_at(file, ABOUT) as journal:
        assert list(journal.samples) == [0]
        journal.add({1: sample("q", correct=False)})
    with journal_at(file, ABOUT) as journal:
        assert [journal.samples[number].correct for number in (0, 1)] == [True, False]


def test_another_question_or_a_fresh_one_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    for about, fresh in ((ABOUT, False), ({**ABOUT, "seed": 2}, False), ({**ABOUT, "seed": 2}, True)):
        with journal_at(file, about, fresh=fresh) as journal:
            assert journal.samples == {}
            journal.add({0: sample("p", correct=True)})
    assert key_of(ABOUT) != key_of({**ABOUT, "seed": 2}) and key_of(ABOUT) == key_of(dict(ABOUT))


@pytest.mark.parametrize("content", [b"\x00\xff", b"[]\n", b'{"format": 9, "about": {}}\n', b'{"format": 1}\n', b"7\n"])
def test_a_file_of_something_else_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "s.jsonl"
    file.write_bytes(content)
    with journal_at(file, ABOUT) as journal:
        journal.add({0: sample("p", correct=True)})
    with journal_at(file, ABOUT) as journal:
        assert list(journal.samples) == [0]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        journal_at(tmp_path / "s.jsonl", ABOUT),
        pytest.raises(UserMistakeError, match="another process"),
        journal_at(tmp_path / "s.jsonl", ABOUT),
    ):
        pass
