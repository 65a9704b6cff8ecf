"""Every moment at which a run writes: counted, and made to fail or to be its last.

Python's own audit events tell of each file opened for writing and each rename, removal and new folder; ``os.fsync`` and
the three native writers that a run uses (safetensors, Parquet, tokenizers) are wrapped, and so is ``write`` of every
file that was opened. ``benchmarks/faults.py`` shows with strace that nothing of the run's folder is written otherwise.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import safetensors.torch
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast

Fault = Literal["ENOSPC", "EIO", "EACCES", "kill"]
FAULTS: tuple[Fault, ...] = ("ENOSPC", "EIO", "EACCES", "kill")
_CHANGES = {"os.rename": (1, 3), "os.remove": (0, 1), "os.mkdir": (0, 2), "os.rmdir": (0, 1)}
"""Audit events and the places of their path and of the folder it is relative to."""


@dataclass(frozen=True)
class Point:
    """One moment: what is done, and to which file of the watched folder."""

    deed: str
    name: str


@dataclass
class Watch:
    """Counts the points below ``folder``, and strikes at one of them.

    Args:
        at: number of the point, from 0; None only counts. fault: what happens there.
    """

    folder: Path
    at: int | None = None
    fault: Fault = "EIO"
    points: list[Point] = field(default_factory=list)
    is_on: bool = True

    def meets(self, deed: str, path: object) -> bool:
        """Note a point; whether the fault strikes here."""
        name = self._inside(path)
        if name is None or not self.is_on:
            return False
        self.points.append(Point(deed, name))
        return len(self.points) - 1 == self.at

    def strike(self, path: object) -> None:
        """The fault itself."""
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self.fault)
        raise OSError(number, os.strerror(number), str(path))

    def _inside(self, path: object) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (an event may not touch the disk)
        return os.path.relpath(name, self.folder) if name.startswith(f"{self.folder}{os.sep}") else None


_active: Watch | None = None
_is_hooked = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    watch = _active
    if watch is None:
        return
    if event == "open":
        path, mode, flags = arguments
        if mode is None and flags & (os.O_WRONLY | os.O_RDWR) and watch.meets("open", path):
            watch.strike(path)
    elif event in _CHANGES:
        path = _resolved(*(arguments[place] for place in _CHANGES[event]))
        if watch.meets(event.removeprefix("os."), path):
            watch.strike(path)


def _resolved(path: object, folder: int) -> object:
    """The path of an event, which may be relative to an open folder."""
    if folder < 0 or not isinstance(path, str | bytes | os.PathLike):
        return path
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))  # noqa: PTH115, PTH118


class _File:
    """A file opened for writing, each of whose writes is a point; a write that fails has written its first half."""

    def __init__(self, file: Any, watch: Watch) -> None:
        self._file, self._watch = file, watch

    def write(self, content: Any) -> Any:
        if self._watch.meets("write", self._file.name):
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            self._watch.strike(self._file.name)
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        self._file.__enter__()
        return self

    def __exit__(self, *arguments: object) -> Any:
        return self._file.__exit__(*arguments)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


def _opening(real: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real(file, mode, *arguments, **options)
        if watch.meets("open", file):
            watch.strike(file)
        found = real(file, mode, *arguments, **options)
        return _File(found, watch) if watch._inside(file) is not None else found

    return opened


def _syncing(real: Callable[[int], None], watch: Watch) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if watch.meets("fsync", path):
            watch.strike(path)
        real(descriptor)

    return fsync


def _native(
    real: Callable[..., Any], watch: Watch, *, path_of: Callable[..., Any], error_of: Callable[[int], Exception] | None
) -> Callable[..., Any]:
    """A writer that is not Python: it leaves the first half of its file, and fails as it does on a full disk.

    ``path_of`` its arguments it writes; ``error_of`` a number of the system is what it raises, None for OSError.
    """

    def write(*arguments: Any, **options: Any) -> Any:
        path = path_of(*arguments, **options)
        if not watch.meets("native write", path):
            return real(*arguments, **options)
        found = real(*arguments, **options)
        os.truncate(path, Path(path).stat().st_size // 2)
        if error_of is not None and watch.fault != "kill":
            raise error_of(getattr(errno, watch.fault))
        watch.strike(path)
        return found

    return write


def _of_safetensors(number: int) -> Exception:
    return SafetensorError(f"I/O error: {os.strerror(number)}")


def _of_tokenizers(number: int) -> Exception:
    """It has no class of its own for what goes wrong."""
    return Exception(f"{os.strerror(number)} (os error {number})")


def _second(_: Any, path: Any, *__: Any, **___: Any) -> Any:
    return path


def _tokenizer_in(_: Any, save_directory: str, *__: Any, **___: Any) -> Path:
    return Path(save_directory) / "tokenizer.json"


@contextmanager
def watched(watch: Watch) -> Iterator[Watch]:
    """Within the block every write point of the folder is counted."""
    global _active, _is_hooked
    if not _is_hooked:
        sys.addaudithook(_hear)
        _is_hooked = True
    real = (io.open, builtins.open, os.fsync, safetensors.torch.serialize_file, pq.write_table)
    saves = PreTrainedTokenizerFast._save_pretrained
    io.open = builtins.open = _opening(real[0], watch)  # type: ignore[assignment]
    os.fsync = _syncing(real[2], watch)  # type: ignore[assignment]
    safetensors.torch.serialize_file = _native(real[3], watch, path_of=_second, error_of=_of_safetensors)
    pq.write_table = _native(real[4], watch, path_of=_second, error_of=None)
    PreTrainedTokenizerFast._save_pretrained = _native(saves, watch, path_of=_tokenizer_in, error_of=_of_tokenizers)
    _active = watch
    try:
        yield watch
    finally:
        _active = None
        io.open, builtins.open, os.fsync = real[0], real[1], real[2]
        safetensors.torch.serialize_file, pq.write_table = real[3], real[4]
        PreTrainedTokenizerFast._save_pretrained = saves
