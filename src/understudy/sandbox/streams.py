"""What comes out of a sandbox while a program runs: two bounded texts, and the gate's words."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from typing import IO, Any, Literal

_CHUNK = 1 << 16
_FLOOD = 1024
_START_SECONDS = 30.0
_GRACE_SECONDS = 5.0
_LONGEST_ANSWER = 1 << 16


class Kept:
    """The beginning and the end of a stream, and how much it was."""

    def __init__(self, keep_bytes: int) -> None:
        self._half = max(1, keep_bytes // 2)
        self._head, self._tail, self.total = bytearray(), bytearray(), 0

    def add(self, chunk: bytes) -> None:
        """Take the next part."""
        self.total += len(chunk)
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        if len(self._tail) > 2 * self._half + _CHUNK:
            del self._tail[: -self._half]

    def text(self) -> str:
        """All of it, or both ends with a mark between them that says how much is missing."""
        missing = self.total - 2 * self._half
        if missing <= 0:
            return (bytes(self._head) + bytes(self._tail)).decode(errors="replace")
        head, tail = bytes(self._head), bytes(self._tail[-self._half :])
        return f"{head.decode(errors='replace')}\n[... {missing} bytes cut ...]\n{tail.decode(errors='replace')}"


class Streams:
    """Reads stdout, stderr and the gate's answer side by side.

    Args:
        process: the stage. answer: what the gate writes to. keep_bytes: of stdout and stderr, each.
    """

    def __init__(self, process: subprocess.Popen[bytes], answer: IO[bytes], *, keep_bytes: int) -> None:
        self.stdout, self.stderr, self._words = Kept(keep_bytes), Kept(keep_bytes), Kept(_LONGEST_ANSWER)
        self._flood = _FLOOD * keep_bytes
        self._selector = selectors.DefaultSelector()
        self._files = [file for file in (process.stdout, process.stderr) if file is not None]
        for file, kept in ((process.stdout, self.stdout), (process.stderr, self.stderr), (answer, self._words)):
            if file is None:
                continue
            os.set_blocking(file.fileno(), False)
            self._selector.register(file, selectors.EVENT_READ, kept)
        self._begun = time.monotonic()
        self.why: Literal["", "output", "deadline"] = ""
        self.seconds = 0.0

    @property
    def answer(self) -> dict[str, Any]:
        """What the gate said last."""
        lines = self._words.text().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def follow(self, *, wall_seconds: float) -> None:
        """Until the gate has said how it ended, or it has been silent for too long, or the output is a flood."""
        deadline = self._begun + wall_seconds + _START_SECONDS
        is_started = False
        while not self.why and self._words in (key.data for key in self._selector.get_map().values()):
            if self._words.total and not is_started:
                is_started = True
                deadline = time.monotonic() + wall_seconds + _GRACE_SECONDS
            if "ended" in self.answer:
                break
            self._read(max(0.0, deadline - time.monotonic()))
            self.seconds = time.monotonic() - self._begun
            if time.monotonic() > deadline:
                self.why = "deadline"
            elif max(self.stdout.total, self.stderr.total) > self._flood:
                self.why = "output"

    def close(self) -> None:
        """Take what is left in the pipes, now that nobody writes any more."""
        while self._read(0.0):
            pass
        self._selector.close()
        for file in self._files:
            file.close()

    def _read(self, wait_seconds: float) -> bool:
        ready = self._selector.select(wait_seconds) if self._selector.get_map() else []
        for key, _ in ready:
            chunk = os.read(key.fd, _CHUNK)
            key.data.add(chunk)
            if not chunk:
                self._selector.unregister(key.fileobj)
        return bool(ready)
