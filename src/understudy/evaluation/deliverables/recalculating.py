"""Workbooks calculated by LibreOffice, where it is installed, in the sandbox."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from understudy.sandbox import Limits, run
from understudy.sandbox.limits import SandboxUnavailableError

Recalculate = Callable[[bytes], bytes | None]
"""A workbook's bytes to the same workbook with every value stored; None where that fails."""

_LIMITS = Limits(wall_seconds=90.0, cpu_seconds=60.0, memory_bytes=4 << 30, num_processes=64)
_log = logging.getLogger(__name__)


@cache
def libreoffice() -> Recalculate | None:
    """Recalculation by ``soffice --headless``; None where it is not installed.

    It opens files of strangers, so it runs without a network and sees nothing but the one file; macros do not run.
    """
    program = shutil.which("soffice") or shutil.which("libreoffice")
    return None if program is None else lambda content: _recalculated(program, content)


def _recalculated(program: str, content: bytes) -> bytes | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.xlsx").write_bytes(content)
        profile = "-env:UserInstallation=file:///workspace/profile"
        options = ["--headless", "--norestore", profile, "--convert-to", "xlsx", "--outdir", "/workspace/out"]
        try:
            ended = run([program, *options, "/workspace/in.xlsx"], folder=folder, limits=_LIMITS)
        except SandboxUnavailableError as error:
            _log.warning("Formulas are not recalculated: %s", error)
            return None
        made = folder / "out" / "in.xlsx"
        if ended.exit_status != 0 or made.is_symlink() or not made.is_file():
            _log.warning("LibreOffice did not recalculate a workbook: %s", ended.stderr[-300:] or ended.ended)
            return None
        return made.read_bytes()
