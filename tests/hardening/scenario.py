"""Something that writes and can be gone on with, whose every write a fault may strike."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Scenario:
    """Something that writes and can be gone on with.

    Args:
        go: does it in a folder, from where it was if the second argument is true.
        facts: of a folder, equal for equal ends.
        elsewhere: points of files whose names match are another scenario's to strike.
    """

    go: Callable[[Path, bool], None]
    facts: Callable[[Path], Any]
    elsewhere: str = "$."

    def strikes(self, name: str) -> bool:
        """Whether points of the file of that name are struck."""
        return not re.match(self.elsewhere, name)


def names_in(path: Path) -> list[str]:
    """Of all files below a folder, hidden ones too: halves that nobody takes away are a loss."""
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def new_folder_of(name: str) -> Path:
    """An empty folder of that scenario, outside what is struck."""
    return Path(tempfile.mkdtemp(prefix=f"faults-{name}-")).resolve()


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """What is made once is kept there."""
    before = os.environ.get("UNDERSTUDY_HOME")
    os.environ["UNDERSTUDY_HOME"] = str(home)
    try:
        yield
    finally:
        del os.environ["UNDERSTUDY_HOME"]
        if before is not None:
            os.environ["UNDERSTUDY_HOME"] = before
