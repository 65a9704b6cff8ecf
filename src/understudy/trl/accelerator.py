"""As much of accelerate's ``Accelerator`` as ends of scripts use: who speaks, of several processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Accelerator:
    """As much of accelerate's as ends of scripts use.

    Args:
        is_main_process: whether this process, of all ranks, speaks and writes.
    """

    is_main_process: bool = True

    def print(self, *words: object, **options: Any) -> None:
        """Print on the main process only."""
        if self.is_main_process:
            print(*words, **options)
