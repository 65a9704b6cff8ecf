"""KL(S||T) of each row as a plan-time figure: over the vocabulary from hidden states, or on the student's top-k."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.errors import ShapeError
from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import Needs, requires
from understudy.objectives.row_losses import NO_MASS
from understudy.objectives.supports import student_top_k
from understudy.tokens import Hidden, TokenTable

_CHUNK_VALUES = 1 << 24


def exact_reverse_kl(*, scorer: str = "teacher", chunk_values: int = _CHUNK_VALUES) -> Slot:
    """KL(S||T) of each row over the whole vocabulary at plan time, [N] nats, a constant.

    Logits exist for a chunk of rows at a time only.

    Args:
        chunk_values: logits of one model that exist at one time, at most (one row at least).
    """

    @requires(needs=Needs(hidden=frozenset({"student", scorer})))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        student, teacher = table.hidden_column("student"), table.hidden_column(scorer)
        if table.num_tokens == 0:
            return torch.zeros(0)
        size = max(1, chunk_values // student.project(student.states[:1]).shape[1])
        parts = [
            _reverse_kl(_part(student, start, size), _part(teacher, start, size), temperature=context.temperature)
            for start in range(0, table.num_tokens, size)
        ]
        return torch.cat(parts).cpu()

    return column


def top_k_reverse_kl(k: int, *, scorer: str = "teacher") -> Slot:
    """sum over the student's top-k of S (log S - log T), raw probabilities, [N] nats: KL(S||T) without its tail."""
    support = student_top_k(k, scorer=scorer, student=True)

    @requires(needs=support.needs)
    def column(table: TokenTable, _: PlanContext) -> Tensor:
        candidates = support.candidates(table)
        assert candidates.student is not None
        return (candidates.student.exp() * (candidates.student - candidates.target.clamp_min(NO_MASS))).sum(1)

    return column


def _part(hidden: Hidden, start: int, size: int) -> Tensor:
    return hidden.project(hidden.states[start : start + size])


def _reverse_kl(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    if teacher.shape[1] < student.shape[1]:
        raise ShapeError("the target's vocabulary is smaller", got=teacher.shape[1], expected=student.shape[1])
    own, other = (
        (logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature).log_softmax(1)
        for logits in (student, teacher[:, : student.shape[1]].to(student.device))
    )
    return (own.exp() * (own - other.clamp_min(NO_MASS))).sum(1)
