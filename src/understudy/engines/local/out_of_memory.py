"""What to do when a pass does not fit into memory: take less at a time, and do the same work again from its start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from understudy.errors import MemoryExhaustedError, first_line
from understudy.models.allocation import is_out_of_memory
from understudy.models.forward import MicroBatch

Result = TypeVar("Result")
Notice = Callable[[str], None]

# Logits of so few rows are small beside anything else, whatever the vocabulary.
_FEWEST_ROWS = 16


@dataclass(frozen=True)
class Budget:
    """How much goes through a model at one time; none of it changes a result beyond rounding.

    Args:
        tokens: padded tokens of a pass, at most, where they are more than one context. rows: of logits.
        checkpointing: activations inside a layer are made again for the backward pass instead of kept.
    """

    tokens: int
    rows: int
    checkpointing: bool = False

    def __str__(self) -> str:
        kept = ", activations made again" if self.checkpointing else ""
        return f"{self.tokens:,} tokens a pass and {self.rows:,} rows of logits{kept}"


@dataclass(frozen=True)
class Extent:
    """What some work takes at a time under a budget.

    Args:
        longest: tokens of the longest context. largest: padded tokens of the largest pass. rows: most in one pass.
    """

    longest: int
    largest: int
    rows: int

    @classmethod
    def of(cls, batches: Sequence[MicroBatch], *, alone: Sequence[MicroBatch]) -> Extent:
        """Of passes ``batches``; ``alone`` are those of the same work with one context in each."""
        return cls(
            longest=max((batch.ids.numel() for batch in alone), default=0),
            largest=max((batch.ids.numel() for batch in batches), default=0),
            rows=max((batch.rows.numel() for batch in batches), default=0),
        )


def smaller(budget: Budget, extent: Extent, *, may_checkpoint: bool = False) -> Budget | None:
    """The next budget to try: half the tokens down to one context, then checkpointing, then half the rows; None: no.

    >>> smaller(Budget(tokens=64, rows=512), Extent(longest=20, largest=60, rows=30))
    Budget(tokens=30, rows=512, checkpointing=False)
    """
    if extent.largest > extent.longest:
        return replace(budget, tokens=max(extent.longest, min(budget.tokens, extent.largest) // 2))
    if may_checkpoint and not budget.checkpointing:
        return replace(budget, checkpointing=True)
    rows = min(budget.rows, extent.rows)
    return replace(budget, rows=max(_FEWEST_ROWS, rows // 2)) if rows > _FEWEST_ROWS else None


class Allowance:
    """A budget that becomes smaller when memory runs out, and then stays so.

    Args:
        budget: to begin with. work: named in what is told, such as ``the student's update``.
        may_checkpoint: checkpointing may be switched on as well. notice: told once for each time that it helped.
    """

    def __init__(
        self, budget: Budget, *, work: str, may_checkpoint: bool = False, notice: Notice | None = None
    ) -> None:
        self.budget = budget
        self._work, self._may_checkpoint, self._notice = work, may_checkpoint, notice

    def run(self, attempt: Callable[[Budget], Result], extent: Callable[[Budget], Extent]) -> Result:
        """``attempt`` under the budget, again from its start under smaller ones while memory runs out.

        Args:
            attempt: must leave nothing behind when it fails. extent: of the same work, asked only after a failure.
        Raises:
            MemoryExhaustedError: not even the smallest pass fits.
        """
        first = self.budget
        while True:
            result, reason = _tried(attempt, self.budget)
            if reason is None:
                break
            # Here, outside the handler: the traceback held every tensor of the pass that failed.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.budget = self._next(extent(self.budget), first, reason)
        if self.budget != first and self._notice is not None:
            self._notice(
                f"Memory ran out in {self._work}, which then did the same work with {self.budget} "
                f"(before: {first}); it goes on so, with the same results."
            )
        return result[0]

    def _next(self, extent: Extent, first: Budget, reason: str) -> Budget:
        found = smaller(self.budget, extent, may_checkpoint=self._may_checkpoint)
        if found is None:
            raise MemoryExhaustedError(
                f"memory ran out in {self._work}, down to {self.budget}, where one context of {extent.longest:,} "
                f"tokens is a pass (began with {first})",
                got=reason,
                remedy="Free memory, or lower rollout.max_completion_length, set student.lora, "
                "optimizer.states: int8 or engine.activation_checkpointing: on, or take a smaller model.",
            )
        return found


@contextmanager
def memory_for(what: str, *, remedy: str) -> Iterator[None]:
    """Within the block, running out of memory is said in one sentence; raises MemoryExhaustedError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryExhaustedError(f"no memory is left for {what}", got=first_line(error), remedy=remedy) from None


def _tried(attempt: Callable[[Budget], Result], budget: Budget) -> tuple[list[Result], str | None]:
    """The result alone in a list, or why memory ran out."""
    try:
        return [attempt(budget)], None
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return [], first_line(error)
