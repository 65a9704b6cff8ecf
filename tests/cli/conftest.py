"""The command line driven in this process, in a folder of tiny files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from transformers.utils import logging

from tests.tiny_files import Workplace, make_workplace
from understudy import cli


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit status and what it wrote."""

    code: int
    out: str
    err: str


Understudy = Callable[..., Ended]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Tiny models, data and recipe; the working directory is there."""
    logging.disable_progress_bar()  # as the command line does, but too late in a process that has them imported
    monkeypatch.chdir(tmp_path)
    return make_workplace(tmp_path)


@pytest.fixture
def understudy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Understudy:
    """Run ``understudy ARGUMENTS`` through ``cli.main``."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["understudy", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        written = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, written.out, written.err)

    return run
