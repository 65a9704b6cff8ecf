"""What a scorer reads: the student's own contexts, or others in which the same tokens stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from understudy.rollouts import Rollout
from understudy.tokens import Batch


@dataclass(frozen=True, eq=False)
class Reading:
    """Where each scored token stands in what a scorer reads.

    Args:
        contexts: [L] int64 ids each. context: [N] int64, which of them each row of the token table is in.
        position: [N] int64, where; at least 1.
    """

    contexts: Sequence[Tensor]
    context: Tensor
    position: Tensor


View = Callable[[Sequence[Rollout], Batch], Reading]
"""Maps a batch, after its rewards, to what a scorer reads of it."""


def as_the_student(_rollouts: Sequence[Rollout], batch: Batch) -> Reading:
    """The student's own contexts."""
    table = batch.table
    return Reading([context.ids for context in batch.contexts], table["context"], table["position"])
