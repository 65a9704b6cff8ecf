"""The cache: a folder appears whole or not at all, is made once, and survives kills, rivals and damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from understudy.errors import DiskError
from understudy.home import home
from understudy.testbed import cache
from understudy.testbed.cache import cached_folder


def whole(folder: Path) -> bool:
    return (folder / "a").is_file() and (folder / "b").is_file()


def fill(folder: Path) -> None:
    (folder / "a").write_text("1")
    (folder / "b").write_text("2")


def test_made_once_then_reused(tmp_path: Path) -> None:
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        assert not list(folder.iterdir())
        fill(folder)

    target = tmp_path / "deep" / "model"
    for _ in range(3):
        assert cached_folder(target, make=make, is_whole=whole) == target
    assert len(calls) == 1 and whole(target)
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_what_goes_away_while_it_is_looked_at_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / ".model.gone").symlink_to("nothing")
    assert whole(cached_folder(tmp_path / "model", make=fill, is_whole=whole))


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "a").write_text("1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_folder(tmp_path / "model", make=fail, is_whole=whole)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_folder_is_made_anew(tmp_path: Path) -> None:
    target = tmp_path / "model"
    cached_folder(target, make=fill, is_whole=whole)
    (target / "b").unlink()
    cached_folder(target, make=fill, is_whole=whole)
    assert whole(target)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_rival_that_was_first_wins(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def overtaken(folder: Path) -> None:
        fill(folder)
        target.mkdir()
        fill(target)
        (target / "a").write_text("rival")

    cached_folder(target, make=overtaken, is_whole=whole)
    assert (target / "a").read_text() == "rival"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_kill_9_leaves_no_target(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from runpy import run_path\n"
        "cache = run_path(sys.argv[2])\n"  # the file alone: the package would load torch first
        "def make(folder):\n"
        "    (folder / 'a').write_text('1'); print('half', flush=True); time.sleep(60)\n"
        "cache['cached_folder'](Path(sys.argv[1]), make=make, is_whole=lambda folder: folder.is_dir())\n"
    )
    target = tmp_path / "model"
    command = [sys.executable, "-c", script, str(target), str(cache.__file__)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "half\n"
    (half,) = tmp_path.iterdir()
    cached_folder(target, make=fill, is_whole=whole)
    assert whole(target) and half.exists(), "its maker is still at work"
    target.rename(tmp_path / "elsewhere")
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not target.exists()
    cached_folder(target, make=fill, is_whole=whole)
    assert whole(target) and not half.exists()


def test_what_another_machine_began_is_left_alone_for_a_day(tmp_path: Path) -> None:
    target, left = tmp_path / "model", tmp_path / ".model.elsewhere.x"
    left.mkdir()
    cached_folder(target, make=fill, is_whole=whole)
    assert left.exists()
    target.rename(tmp_path / "away")
    long_ago = time.time() - 2 * cache.STALE_SECONDS
    os.utime(left, (long_ago, long_ago))
    cached_folder(target, make=fill, is_whole=whole)
    assert not left.exists()


def test_a_disk_that_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match=r"model cannot be written; got No space left on device. Make room"):
        cached_folder(tmp_path / "model", make=full, is_whole=whole)
    assert list(tmp_path.iterdir()) == []


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("UNDERSTUDY_HOME")
    assert home() == Path.home() / ".cache" / "understudy"
