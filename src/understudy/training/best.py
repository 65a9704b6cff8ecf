"""Which evaluation was the best so far, and whether it is time to give up on a better one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.training import metric_lines

Lines = Sequence[Mapping[str, float | None]]


@dataclass(frozen=True)
class Best:
    """The evaluation figure whose best checkpoint is kept.

    Args:
        metric: its name. higher_is_better: which direction is.
        stop_after: the run ends after so many evaluations in a row without a better one; 0 never.
    """

    metric: str
    higher_is_better: bool = True
    stop_after: int = 0

    def step(self, lines: Lines) -> int | None:
        """The step of the best evaluation, the one before training aside; the earliest of equals.

        >>> lines = [{"step": 0, "score": 9.0}, {"step": 5, "score": 2.0}, {"step": 10, "score": 2.0}]
        >>> Best("score").step(lines), Best("other").step(lines)
        (5, None)
        """
        values = self._values(lines)
        return max(values, key=lambda step: (values[step], -step)) if values else None

    def is_stalled(self, lines: Lines, *, at: int) -> bool:
        """Whether the evaluation of step ``at`` is the last of ``stop_after`` that brought nothing better.

        >>> lines = [{"step": 5, "score": 2.0}, {"step": 10, "score": 2.0}, {"step": 15, "score": 1.0}]
        >>> [Best("score", stop_after=2).is_stalled(lines[:count], at=5 * count) for count in (1, 2, 3)]
        [False, False, True]
        """
        values, best = self._values(lines), self.step(lines)
        if not self.stop_after or best is None or at not in values:
            return False
        return sum(best < step <= at for step in values) >= self.stop_after

    def _values(self, lines: Lines) -> dict[int, float]:
        sign = 1 if self.higher_is_better else -1
        found = {metric_lines.step_of(line): line.get(self.metric) for line in lines}
        return {step: sign * value for step, value in found.items() if step > 0 and value is not None}
