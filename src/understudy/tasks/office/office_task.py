"""One office task, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

HandIn = Literal["named", "changed"]
"""What counts as handed in: the files that ``finish`` names, or every file that is new or changed."""

Scoring = Literal["points", "all"]
"""How a rubric becomes a score: earned points over possible ones, or 1 where all of it is met and 0 else."""


@dataclass(frozen=True)
class Reference:
    """A file that comes with a task.

    Args:
        place: where the agent finds it, relative to its workspace. source: the file.
    """

    place: PurePosixPath
    source: Path


@dataclass(frozen=True)
class Check:
    """Something that a program can look for in a workspace.

    Args:
        kind: which check, see docs/office.md. arguments: of it, as the task gives them.
    """

    kind: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Criterion:
    """One line of a rubric.

    Args:
        id: unique in its task. criterion: in words. points: below zero for what should not be there.
        check: decides it; None for a grader to decide.
    """

    id: str
    criterion: str
    points: float = 1.0
    check: Check | None = None


@dataclass(frozen=True)
class OfficeTask:
    """What is asked, with what, and how it is judged; the agent sees the prompt and the references, nothing else.

    Args:
        task_id: unique in its suite, and the name of a folder. prompt: in words. suite: where it comes from.
        references: files of the workspace at the start. rubric: what is looked for. hand_in: what counts as handed in.
        scoring: how the rubric becomes a score. files: others that checks compare with, by the name they use.
        columns: what else is known of it, such as its occupation.
    """

    task_id: str
    prompt: str
    suite: str
    references: tuple[Reference, ...] = ()
    rubric: tuple[Criterion, ...] = ()
    hand_in: HandIn = "named"
    scoring: Scoring = "points"
    files: Mapping[str, Path] = field(default_factory=dict)
    columns: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_programmatic(self) -> bool:
        """Whether programs decide all of its rubric."""
        return bool(self.rubric) and all(line.check is not None for line in self.rubric)
