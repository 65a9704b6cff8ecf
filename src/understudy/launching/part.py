"""What one process of a launch is: its command as a user would type it, and what is put into its environment."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sampler", "teacher", "trainer"]

_OURS = {"understudy": "understudy", "torchrun": "understudy.torchrun"}
"""Modules behind scripts; torchrun without its own report, which would stand below what the ranks have said."""


@dataclass(frozen=True)
class Part:
    """One process.

    Args:
        name: for logs and messages. kind: what it is for. machine: its number. command: as a user would type it.
        environment: variables that are set; a value ``$NAME`` is taken from that variable, and shown as such.
        url: where it answers; None for the trainer. key_variable: environment variable with its key.
        gpus: numbers of its devices; none where it may see all there are.
    """

    name: str
    kind: Kind
    machine: int
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    key_variable: str | None = None
    gpus: tuple[int, ...] = ()

    @property
    def line(self) -> str:
        """The command for a shell, with the variables before it; no secret is in it."""
        variables = [f"{name}={_shown(value)}" for name, value in self.environment.items()]
        return " ".join([*variables, shlex.join(self.command)])

    def runnable(self) -> list[str]:
        """The command with this Python in place of the names of its scripts."""
        first, *rest = self.command
        return [sys.executable, "-m", _OURS[first], *rest] if first in _OURS else [first, *rest]

    def resolved(self, environment: Mapping[str, str]) -> dict[str, str]:
        """``environment`` with the part's own variables."""
        own = {
            name: environment.get(value[1:], "") if value.startswith("$") else value
            for name, value in self.environment.items()
        }
        return {**environment, **own}


def _shown(value: str) -> str:
    return f'"{value}"' if value.startswith("$") else shlex.quote(value)
