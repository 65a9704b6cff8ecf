"""A sign of life on a terminal while libraries are loaded, which takes seconds before a command can say anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def starting() -> Iterator[None]:
    """Say on standard error that something is going on, until the block is over; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True, highlight=False).status("loading PyTorch and transformers"):
        yield
