"""Supports: the ids of the vocabulary at which student and target are compared, row by row.

Sets of K ids combine by ``union``, ``intersection`` and ``symmetric_difference`` in O(K log K) a row; an entry that
does not count is marked, never removed, so that every row keeps the same width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from understudy.errors import ShapeError
from understudy.objectives.needs import Needs
from understudy.plans import Full, Ids
from understudy.tokens import TokenTable, Wide


@dataclass(frozen=True, eq=False)
class Candidates:
    """K candidate ids a row, and what was known of them when the step was planned.

    Args:
        ids: [N, K] int64. target: [N, K] nats, the scorer's full-vocabulary log-probs at them.
        valid: [N, K] bool, false for entries that do not count; None when all do.
        student: [N, K] nats, the student's log-probs at them; None where the support was not asked for them.
    """

    ids: Tensor
    target: Tensor
    valid: Tensor | None = None
    student: Tensor | None = None

    @property
    def support(self) -> Ids:
        """The ids as a term's support."""
        return Ids(self.ids, self.valid)

    @property
    def counted(self) -> Bool[Tensor, "n k"]:
        """[N, K] bool: the entries that count."""
        return torch.ones_like(self.ids, dtype=torch.bool) if self.valid is None else self.valid

    def only(self, keep: Bool[Tensor, "n k"]) -> Candidates:
        """The same entries, of which only those in ``keep`` count."""
        return replace(self, valid=self.counted & keep)


@dataclass(frozen=True)
class OnIds:
    """A support of K ids a row.

    Args:
        candidates: the ids of all rows of a table. needs: what the table must hold for them.
    """

    candidates: Callable[[TokenTable], Candidates]
    needs: Needs


@dataclass(frozen=True)
class OnVocabulary:
    """The whole shared vocabulary, the target made from a scorer's hidden states."""

    scorer: str = "teacher"

    @property
    def needs(self) -> Needs:
        """The scorer's hidden states."""
        return Needs(hidden=frozenset({self.scorer}))

    def place(self, table: TokenTable) -> Full:
        """The support of all rows of the table."""
        table.hidden_column(self.scorer)
        return Full(self.scorer)


def teacher_top_k(k: int, *, scorer: str = "teacher", student: bool = False) -> OnIds:
    """The scorer's K most likely ids; with ``student`` also the student's log-probs at them."""
    name = f"{scorer}_top_k"

    def candidates(table: TokenTable) -> Candidates:
        own = table.wide_column(name)
        return _first(k, own, student=table.wide_column(f"student_at_{name}") if student else None)

    at_ids = frozenset({("student", name)}) if student else frozenset()
    return OnIds(candidates, Needs(top_k={scorer: k}, at_ids=at_ids))


def student_top_k(k: int, *, scorer: str = "teacher", student: bool = False) -> OnIds:
    """The student's K most likely ids at plan time, scored by the scorer; with ``student`` its own log-probs too."""

    def candidates(table: TokenTable) -> Candidates:
        own, target = table.wide_column("student_top_k"), table.wide_column(f"{scorer}_at_student_top_k")
        return _first(k, target, ids=own.ids, student=own if student else None)

    return OnIds(candidates, Needs(top_k={"student": k}, at_ids=frozenset({(scorer, "student_top_k")})))


def sampled_token(*, scorer: str = "teacher", student: bool = False) -> OnIds:
    """The token that stands in the row, alone; ``union`` appends it to another support where it is absent."""

    def candidates(table: TokenTable) -> Candidates:
        own = table["student_logprob"][:, None] if student else None
        return Candidates(table["token_id"][:, None], target=table[f"{scorer}_logprob"][:, None], student=own)

    columns = {f"{scorer}_logprob"} | ({"student_logprob"} if student else set())
    return OnIds(candidates, Needs(columns=frozenset(columns)))


def union(first: OnIds, second: OnIds) -> OnIds:
    """Ids of either; one that both hold counts once."""

    def candidates(table: TokenTable) -> Candidates:
        a, b = first.candidates(table), second.candidates(table)
        return _joined(a, b.only(~contains(a, b.ids)))

    return OnIds(candidates, first.needs | second.needs)


def intersection(first: OnIds, second: OnIds) -> OnIds:
    """Ids of both; a row without any counts nothing."""

    def candidates(table: TokenTable) -> Candidates:
        a, b = first.candidates(table), second.candidates(table)
        return a.only(contains(b, a.ids))

    return OnIds(candidates, first.needs | second.needs)


def symmetric_difference(first: OnIds, second: OnIds) -> OnIds:
    """Ids of exactly one of the two."""

    def candidates(table: TokenTable) -> Candidates:
        a, b = first.candidates(table), second.candidates(table)
        return _joined(a.only(~contains(b, a.ids)), b.only(~contains(a, b.ids)))

    return OnIds(candidates, first.needs | second.needs)


def contains(pool: Candidates, ids: Int[Tensor, "n j"]) -> Bool[Tensor, "n j"]:
    """Whether each id is among the counted entries of its row of ``pool``."""
    ordered = pool.ids.masked_fill(~pool.counted, -1).sort(dim=1).values
    place = torch.searchsorted(ordered, ids.contiguous()).clamp_max(ordered.shape[1] - 1)
    return ordered.gather(1, place) == ids


def _first(k: int, target: Wide, *, ids: Tensor | None = None, student: Wide | None = None) -> Candidates:
    """The first K entries: a column is as wide as the widest wish for it, most likely first."""
    chosen = target.ids if ids is None else ids
    for other in (target, student):
        if other is not None and other.logprobs.shape != chosen.shape:
            raise ShapeError("log-probs are not taken at the support's ids", got=other.logprobs.shape)
    return Candidates(
        chosen[:, :k],
        target=target.logprobs[:, :k],
        valid=None if target.valid is None else target.valid[:, :k],
        student=None if student is None else student.logprobs[:, :k],
    )


def _joined(a: Candidates, b: Candidates) -> Candidates:
    return Candidates(
        torch.cat([a.ids, b.ids], dim=1),
        target=torch.cat([a.target, b.target], dim=1),
        valid=torch.cat([a.counted, b.counted], dim=1),
        student=None if a.student is None or b.student is None else torch.cat([a.student, b.student], dim=1),
    )
