"""New lines of a file that somebody else writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Following:
    """Shows what is added to a file, line by line.

    Args:
        file: it need not be there yet. show_line: gets each whole line without its end.
    """

    def __init__(self, file: Path, show_line: Callable[[str], None]) -> None:
        self._file, self._show_line = file, show_line
        self._at, self._rest = 0, b""

    def skip(self) -> None:
        """Begin at the present end."""
        self._at, self._rest = (self._file.stat().st_size if self._file.exists() else 0), b""

    def show(self) -> None:
        """Show the whole lines that have come since."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._at)
                added = file.read()
        except OSError:
            return
        self._at += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rpartition("\r")[2].rstrip()
            if text and not text.startswith("--- "):
                self._show_line(text)
