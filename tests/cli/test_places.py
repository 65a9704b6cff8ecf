"""Folders and addresses that are none, given to every command that takes one."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import Workplace


def test_a_file_stands_where_a_folder_is_to_be(place: Workplace, understudy: Understudy) -> None:
    (place.path / "occupied").write_text("a file")
    for command in (("demo",), ("score", "tiny.yaml"), ("office-study",)):
        assert_is_refused(understudy(*command, "--out", "occupied"), "occupied is no folder", "--out")
    assert_is_refused(understudy("office", "new", "occupied"), "occupied is no folder")
    (place.path / "corpus.jsonl").write_text('{"id": "1", "contents": "a cat"}')
    ready = ("retrieve", "corpus.jsonl", "--port", 0, "--ready-file", "occupied/ready")
    for command in (("shop-goals", "synthetic", "--out", "occupied"), ready):
        ended = understudy(*command)
        assert (ended.code, ended.err.count("\n")) == (1, 1) and "cannot be written" in ended.err
    assert (place.path / "occupied").read_text() == "a file"


def test_a_disk_that_refuses_where_nobody_looked_is_one_sentence(
    place: Workplace, understudy: Understudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere/file")

    monkeypatch.setattr("understudy.evaluating.evaluate", refuse)
    ended = understudy("evaluate", "student", "--suite", "words")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("understudy: somewhere/file: No space left on device.")
    assert "Traceback" in understudy("--traceback", "evaluate", "student", "--suite", "words").err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("evaluate", "student", "--suite", "words", "--seed", 2**63), "9223372036854775807"),
        (("methods", "opd", "--markdown", "pages"), "--markdown writes the pages of all methods"),
        (("methods", "--engine", "tinker", "--markdown", "pages"), "Leave out NAME and --engine"),
        (("methods", "--json", "--markdown", "pages"), "and --json"),
    ],
)
def test_options_that_cannot_be_obeyed(
    command: tuple[object, ...], words: str, place: Workplace, understudy: Understudy
) -> None:
    ended = understudy(*command)
    assert ended.code == 2 and words in ended.err
    assert not (place.path / "pages").exists()


@pytest.mark.parametrize("address", ["http://[::1", "http://a:b", "http://a:99999", "http://", "http://me:pass@a:1"])
def test_an_address_that_is_none(address: str, place: Workplace, understudy: Understudy) -> None:
    ended = understudy("evaluate", address, "--suite", "testbed/multiplication-greedy")
    assert_is_refused(ended, "address" if address != "http://[::1" else "IPv6")
    assert "pass" not in ended.err
    if address in ("http://a:b", "http://a:99999"):
        server = f"teacher={{server: '{address}', model: teacher}}"
        assert_is_refused(understudy("train", "tiny.yaml", server), "address of a server cannot be read")
