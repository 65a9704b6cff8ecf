"""Tokens of older weights: how far they are from the present student, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from understudy.objectives.needs import Needs
from understudy.plans import Likelihood, LossPlan, LossTerm, Ratio
from understudy.rollouts import Origin
from understudy.tokens import TokenTable
from understudy.world import World

Correction = Literal["none", "signal", "ratio", "mask"]


@dataclass(frozen=True)
class Staleness:
    """What is done about tokens that older weights have drawn; see ``recipe.Overlap``.

    Args:
        correction: which. cap: of the ratio of present student to sampler.
    """

    correction: Correction = "ratio"
    cap: float = 2.0
    needs: Needs = field(default=Needs(columns=frozenset({"student_logprob"})), init=False)

    def columns(self, table: TokenTable, version: int) -> TokenTable:
        """The table that the objective plans from.

        ``none`` puts the sampler's log-probs in the student's place, ``signal`` the student's in the sampler's: in both
        the ratio of the two is 1. ``ratio`` and ``mask`` leave both as they are.
        """
        stale = stale_rows(table, version)
        student, sampler = table["student_logprob"], table["behaviour_logprob"]
        if self.correction == "none":
            return table.with_tokens(student_logprob=torch.where(stale, sampler, student))
        if self.correction == "signal":
            return table.with_tokens(behaviour_logprob=torch.where(stale, student, sampler))
        return table

    def plans(self, plans: Sequence[LossPlan], table: TokenTable, version: int) -> list[LossPlan]:
        """The plans with every plain importance ratio bounded, or counted from the present student.

        Args:
            table: as it was scored, before ``columns``.
        """
        stale, student = stale_rows(table, version), table["student_logprob"]
        if self.correction == "none":
            return [_with_terms(plan, lambda term: _from_now(term, stale, student)) for plan in plans]
        if self.correction == "signal":
            return list(plans)
        return [_with_terms(plan, lambda term: _bounded(term, self.ratio)) for plan in plans]

    @property
    def ratio(self) -> Ratio:
        """In place of the plain importance ratio."""
        if self.correction == "mask":
            return Ratio("masked", low=1 / self.cap, high=self.cap)
        return Ratio("capped", high=self.cap)

    def figures(self, table: TokenTable, version: int, world: World) -> Mapping[str, float]:
        """Over the student's own tokens on all ranks.

        ``staleness/mean`` and ``staleness/max`` versions behind, ``staleness/share`` of tokens with older weights;
        among these ``staleness/log_ratio``, mean |log present student - log sampler| in nats, and
        ``staleness/capped``, the share whose ratio is beyond the cap (for ``mask``: on either side).
        """
        own, stale = own_rows(table), stale_rows(table, version)
        behind = (version - table["weight_version"][own]).double()
        change = (table["student_logprob"] - table["behaviour_logprob"])[stale].double()
        beyond = change > torch.tensor(self.cap).double().log()
        if self.correction == "mask":
            beyond |= change < -torch.tensor(self.cap).double().log()
        parts = [own.sum(), behind.sum(), stale.sum(), change.abs().sum(), beyond.sum()]
        count, total, old, moved, cut = world.sum(torch.stack([part.double() for part in parts])).tolist()
        oldest = float(world.max(torch.cat([behind, torch.zeros(1, dtype=torch.float64)]).max()))
        figures = {"staleness/mean": total / max(1.0, count), "staleness/max": oldest}
        figures["staleness/share"] = old / max(1.0, count)
        if old:
            figures |= {"staleness/log_ratio": moved / old, "staleness/capped": cut / old}
        return figures


def own_rows(table: TokenTable) -> Tensor:
    """[N] bool: the student's sampler chose the token and told its log-prob."""
    return (table["origin"] == Origin.STUDENT) & table["behaviour_logprob"].isfinite()


def stale_rows(table: TokenTable, version: int) -> Tensor:
    """[N] bool: it did so with weights older than ``version``."""
    return own_rows(table) & (table["weight_version"] < version)


def _with_terms(plan: LossPlan, change: Callable[[LossTerm], LossTerm]) -> LossPlan:
    return replace(plan, terms=[change(term) for term in plan.terms])


def _from_now(term: LossTerm, stale: Tensor, student: Tensor) -> LossTerm:
    """The ratio of a stale token begins at 1."""
    loss = term.row_loss
    if not isinstance(loss, Likelihood) or loss.old_logprob is None:
        return term
    old = torch.where(stale[term.rows][:, None], student[term.rows][:, None].to(loss.old_logprob), loss.old_logprob)
    return replace(term, row_loss=replace(loss, old_logprob=old))


def _bounded(term: LossTerm, ratio: Ratio) -> LossTerm:
    """A plain importance ratio gets the bounds; a method's own bounds stay."""
    loss = term.row_loss
    if not isinstance(loss, Likelihood) or loss.ratio.kind != "importance":
        return term
    return replace(term, row_loss=replace(loss, ratio=ratio))
