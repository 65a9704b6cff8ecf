"""What an agent has left behind, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from understudy.environments.tools.toolbox import Ending
from understudy.tasks.office import OfficeTask


@dataclass(frozen=True)
class Attempt:
    """One attempt at a task, over.

    Args:
        folder: the workspace as it was left; gone once the attempt has been graded. ending: how it ended.
        handed_in: files that are new or changed and count as handed in, by their place in the workspace; none where
            the agent did not finish. not_taken: for each file that was named or found and does not count, why.
        num_refused: calls that named a path outside the workspace.
    """

    folder: Path
    ending: Ending
    handed_in: tuple[PurePosixPath, ...]
    not_taken: Mapping[str, str] = field(default_factory=dict)
    num_refused: int = 0

    @property
    def has_finished(self) -> bool:
        """Whether the agent said that it was done, and that was accepted."""
        return self.ending.why == "finished"

    @property
    def is_efficient(self) -> bool:
        """Whether it finished with something handed in within half of its turns: our definition of efficiency."""
        return bool(self.handed_in) and 2 * self.ending.num_turns <= self.ending.max_turns

    def figures(self) -> dict[str, object]:
        """What is kept of it with a rollout; names with a slash are metrics of a run."""
        return {
            "office/any_deliverable_rate": float(bool(self.handed_in)),
            "office/efficiency_rate": float(self.is_efficient),
            "office/finished_rate": float(self.has_finished),
            "deliverables": len(self.handed_in),
            "not_taken": len(self.not_taken),
            "refused_paths": self.num_refused,
        }


@dataclass(frozen=True)
class Graded:
    """What an attempt is worth.

    Args:
        score: 0 to 1; None where nothing has graded it. info: kept with the rollout.
    """

    score: float | None
    info: Mapping[str, object] = field(default_factory=dict)


UNFINISHED: Mapping[str, object] = {
    "office/any_deliverable_rate": 0.0,
    "office/efficiency_rate": 0.0,
    "office/finished_rate": 0.0,
}
"""The figures of an attempt that nobody could judge: its context was full before it ended."""

Grade = Callable[[OfficeTask, Attempt], Graded]
"""Judges an attempt while its workspace is still there."""
