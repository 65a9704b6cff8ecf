"""A file is there whole or as it was, and what killed writers left goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.errors import UnderstudyError
from understudy.written_whole import write_whole


def test_the_file_is_replaced_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    for text in ("one\n", "\u00e9\n"):
        write_whole(path, text, remedy="x")
        assert path.read_bytes() == text.encode() and list(path.parent.iterdir()) == [path]


def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(UnderstudyError, match=r"folder cannot be written; got .*directory.*\. Make room\."):
        write_whole(path, "x", remedy="Make room.")
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = [tmp_path / f".a[1].txt.{number}" for number in (ended.pid, 10**30)]
    others = [tmp_path / f".a[1].txt.{os.getppid()}", tmp_path / f".a1.txt.{ended.pid}", tmp_path / ".a[1].txt.writing"]
    for file in (*dead, *others):
        file.touch()
    write_whole(tmp_path / "a[1].txt", "x", remedy="x")
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "a[1].txt"])
