"""Samples kept as they come, so that a killed evaluation goes on and a finished one is not made again."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from understudy.errors import UnderstudyError, UserMistakeError
from understudy.evaluation.samples import SampleRecord, sample_of

FORMAT = 1


def key_of(about: Mapping[str, object]) -> str:
    """16 hex digits over everything that decides an evaluation's answers."""
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Journal:
    """The samples of one evaluation by the number of their attempt, each written as soon as it is there.

    Attributes:
        samples: what is known so far.
    """

    def __init__(self, file: io.FileIO, about: Mapping[str, object]) -> None:
        self._file = file
        self.samples: dict[int, SampleRecord] = {}
        whole = self._read(about)
        file.seek(whole)
        file.truncate()
        if whole == 0:
            self._write([{"format": FORMAT, "about": dict(about)}])

    def add(self, samples: Mapping[int, SampleRecord]) -> None:
        """Keep these, on the disk before this returns."""
        self._write([{"attempt": number, **sample.to_json()} for number, sample in samples.items()])
        self.samples.update(samples)

    def _write(self, lines: list[dict[str, object]]) -> None:
        try:
            content = memoryview(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            while content:  # without a buffer, which a full disk would have written again when the file is closed
                content = content[self._file.write(content) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise UnderstudyError(
                f"{self._file.name} cannot be written",
                got=error.strerror or error,
                remedy="Make room or give permission; the same command then goes on.",
            ) from error

    def _read(self, about: Mapping[str, object]) -> int:
        """Take up what is there; gives the bytes that are whole. A file of something else is begun anew."""
        self._file.seek(0)
        expected, whole = json.loads(json.dumps(dict(about), default=str)), 0
        for number, line in enumerate(io.BytesIO(self._file.read())):
            try:
                if not line.endswith(b"\n"):
                    break
                entry = json.loads(line)
                if number == 0 and (entry["format"] != FORMAT or entry["about"] != expected):
                    return 0
                if number:
                    attempt = int(entry.pop("attempt"))
                    self.samples[attempt] = sample_of(entry)
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
                break  # the process was killed while it wrote
            whole += len(line)
        return whole


@contextmanager
def journal_at(path: Path, about: Mapping[str, object], *, fresh: bool = False) -> Iterator[Journal]:
    """The journal of an evaluation, for this process alone.

    Args:
        path: its file; made where there is none. about: what decides the answers. fresh: forget what is there.
    Raises:
        UserMistakeError: another process is at it. UnderstudyError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise UnderstudyError(f"{path} cannot be written", got=error.strerror or error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserMistakeError(
                "another process is at this very evaluation", got=path, remedy="Wait for it, or change --seed."
            ) from error
        if fresh:
            file.truncate(0)
        yield Journal(file, about)
