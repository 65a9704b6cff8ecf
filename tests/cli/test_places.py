"""Folders and addresses that are none, given to every command that takes one."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import Workplace


def test_a_file_stands_where_a_folder_is_to_be(place: Workplace, understudy: Understudy) -> None:
    (place.path / "occupied").write_text("a file")
    for command in (("demo",), ("score", "tiny.yaml")):
        assert_is_refused(understudy(*command, "--out", "occupied"), "occupied is no folder", "--out")
    assert_is_refused(understudy("office", "new", "occupied"), "occupied is no folder")
    (place.path / "corpus.jsonl").write_text('{"id": "1", "contents": "a cat"}')
    ready = ("retrieve", "corpus.jsonl", "--port", 0, "--ready-file", "occupied/ready")
    for command in (("shop-goals", "synthetic", "--out", "occupied"), ready):
        ended = understudy(*command)
        assert (ended.code, ended.err.count("\n")) == (1, 1) and "cannot be written" in ended.err
    assert (place.path / "occupied").read_text() == "a file"


@pytest.mark.parametrize("address", ["http://[::1", "http://a:b", "http://a:99999", "http://", "http://me:pass@a:1"])
def test_an_address_that_is_none(address: str, place: Workplace, understudy: Understudy) -> None:
    ended = understudy("evaluate", address, "--suite", "testbed/multiplication-greedy")
    assert_is_refused(ended, "address" if address != "http://[::1" else "IPv6")
    assert "pass" not in ended.err
    if address in ("http://a:b", "http://a:99999"):
        server = f"teacher={{server: '{address}', model: teacher}}"
        assert_is_refused(understudy("train", "tiny.yaml", server), "address of a server cannot be read")
