"""An objective: named terms, what they need, and the plan of each optimiser step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.hybrid import told_columns
from understudy.objectives.needs import Needs, union
from understudy.objectives.reductions import Reduced, Reduction, token_mean
from understudy.objectives.row_losses import select
from understudy.objectives.terms import Draft, Term
from understudy.objectives.writing import RolloutMix, Writing
from understudy.plans import Ids, Likelihood, LossPlan, LossTerm
from understudy.tokens import TokenTable
from understudy.world import World

Truncated = Literal["keep", "mask"]
"""What becomes of the tokens of rollouts that the length limit cut."""


@dataclass(frozen=True)
class Objective:
    """What to minimise.

    Args:
        terms: by name; names become metric names. writing: who writes the completions, and how.
        reduction: for terms without their own. num_updates: optimiser steps a batch, split by group.
        domain_weights: factor of every row of a domain, in every term; 1 where it is not named. Denominators count
            rows, not weights, so that a domain of weight 0 still dilutes the others.
        truncated: ``mask`` plans as if the rollouts that the length limit cut had no tokens: no term, gate or
            denominator sees these. Their rewards stay in the statistics of their groups.
    """

    terms: Mapping[str, Term]
    writing: Writing = field(default_factory=Writing)
    reduction: Reduction = field(default_factory=token_mean)
    num_updates: int = 1
    domain_weights: Mapping[str, float] = field(default_factory=dict)
    truncated: Truncated = "keep"

    def __post_init__(self) -> None:
        if self.num_updates < 1:
            raise RecipeError("num_updates", got=self.num_updates, expected="1 or more")
        stale = [name for name, term in self.terms.items() if term.fresh]
        if stale and self.num_updates > 1:
            raise RecipeError(
                f"term {stale[0]!r} is linearised for one update", got=f"num_updates {self.num_updates}", expected=1
            )

    @property
    def mix(self) -> RolloutMix:
        """Who writes the completions."""
        return self.writing.mix

    @property
    def needs(self) -> Needs:
        """The union of the terms' needs."""
        return union(term.needs for term in self.terms.values())

    def plan(self, table: TokenTable, context: PlanContext) -> list[LossPlan]:
        """One plan an optimiser step: statistics over the whole batch, split by group, then each normalised.

        Raises:
            MissingColumnError: the table lacks a needed column.
        """
        if self.truncated == "mask":
            whole = (~table.rollouts["truncated"][table["rollout"]]).nonzero().squeeze(1)
            return [_among(whole, plan) for plan in self._plans(table.keep_rows(whole), context)]
        return self._plans(table, context)

    def _plans(self, table: TokenTable, context: PlanContext) -> list[LossPlan]:
        with torch.no_grad():
            drafts = {name: term.draft(table, context) for name, term in self.terms.items()}
            parts = split_by_group(table, self.num_updates, world=context.world)
            return [self._plan_part(table, context, drafts, parts == part) for part in range(self.num_updates)]

    def _plan_part(
        self, table: TokenTable, context: PlanContext, drafts: Mapping[str, Draft], counted: Tensor
    ) -> LossPlan:
        terms: list[LossTerm] = []
        statistics: dict[str, float] = {}
        for name, draft in drafts.items():
            reduction = self.terms[name].reduction or self.reduction
            reduced = Reduced(table=table, counted=counted, gate=draft.gate, context=context)
            weights = reduction(reduced) * draft.scale.double() * self._factors(table)
            terms.append(_term(name, draft, weights, counted))
            statistics |= _statistics(name, draft, counted, context) | _told(draft, table, counted, context)
        return LossPlan(terms, temperature=context.temperature, statistics=statistics)

    def _factors(self, table: TokenTable) -> Tensor:
        """[N] float64, the weight of each row's domain."""
        if not self.domain_weights:
            return torch.ones(table.num_tokens, dtype=torch.float64)
        factors = [self.domain_weights.get(domain, 1.0) for domain in table.domains]
        return torch.tensor(factors, dtype=torch.float64)[table["rollout"]]


def split_by_group(table: TokenTable, num_parts: int, *, world: World) -> Tensor:
    """[N] part of each row: neighbouring groups of all ranks together, as many in each part; the same on any ranks.

    Ranks, and the data sets of a mixture, take turns from group to group, so that each part has some of every one.
    """
    groups = table.rollouts["group"].unique().double()
    count = float(world.sum(torch.tensor(float(groups.numel()), dtype=torch.float64)))
    part = torch.zeros(table.num_rollouts, dtype=torch.int64)
    for number in range(1, num_parts):
        first = math.ceil(number * count / num_parts)  # of this part's groups, in their order
        place = min(max(0.0, first - 0.5) / max(1.0, count - 1), 1.0)
        part += table.rollouts["group"] > world.quantile(groups, place)
    return part[table["rollout"]]


def plan_columns(plan: LossPlan, num_tokens: int) -> dict[str, Tensor]:
    """The plan as columns [N] for files: ``<term>/weight``, of likelihoods ``<term>/advantage``, and what is told.

    Rows outside a term are zero in its weight and NaN in its other columns.
    """
    columns: dict[str, Tensor] = {}
    for term in plan.terms:
        weight = torch.zeros(num_tokens, dtype=torch.float32)
        weight[term.rows] = term.weights.float()
        columns[f"{term.name}/weight"] = weight
        if isinstance(term.row_loss, Likelihood):
            advantage = torch.full((num_tokens,), float("nan"))
            advantage[term.rows] = term.row_loss.advantage.sum(1).float()
            columns[f"{term.name}/advantage"] = advantage
        for name, told in term.told.items():
            columns[f"{term.name}/{name}"] = torch.full((num_tokens,), float("nan"))
            columns[f"{term.name}/{name}"][term.rows] = told.float()
    return columns


def _among(rows: Tensor, plan: LossPlan) -> LossPlan:
    """The plan of a table's ``rows`` as one of the table."""
    return replace(plan, terms=[replace(term, rows=rows[term.rows]) for term in plan.terms])


def _term(name: str, draft: Draft, weights: Tensor, counted: Tensor) -> LossTerm:
    rows = (draft.gate & counted & (weights != 0)).nonzero().squeeze(1)
    support = draft.support
    if isinstance(support, Ids):
        support = Ids(support.ids[rows], None if support.valid is None else support.valid[rows])
    told = {key: column[rows] for key, column in told_columns(draft.halves, draft.turn_weights).items()}
    return LossTerm(name, rows, weights[rows], select(draft.row_loss, rows), support, told)


def _statistics(name: str, draft: Draft, counted: Tensor, context: PlanContext) -> dict[str, float]:
    """Share of response tokens in the term and, for likelihoods, figures of the advantage; global over ranks."""
    world = context.world
    kept = draft.gate & counted
    totals = world.sum(torch.stack([kept.sum(), counted.sum()]).double())
    figures = {f"gate/{name}": float(totals[0] / totals[1].clamp_min(1))}
    if isinstance(draft.row_loss, Likelihood) and draft.row_loss.old_logprob is not None:
        advantage = draft.row_loss.advantage.sum(1)[kept].double()
        sums = world.sum(torch.stack([advantage.sum(), advantage.abs().sum(), advantage.square().sum()]))
        mean, absolute, square = (sums / totals[0].clamp_min(1)).tolist()
        figures |= {
            f"advantage/{name}/mean": mean,
            f"advantage/{name}/abs_mean": absolute,
            f"advantage/{name}/std": max(square - mean**2, 0.0) ** 0.5,
            f"advantage/{name}/p05": float(world.quantile(advantage, 0.05)),
            f"advantage/{name}/p95": float(world.quantile(advantage, 0.95)),
        }
    return figures


def _told(draft: Draft, table: TokenTable, counted: Tensor, context: PlanContext) -> dict[str, float]:
    """Figures of an advantage's two parts, and of the weights of turns, where there are any; global over ranks."""
    kept = draft.gate & counted
    figures: dict[str, float] = {}
    if draft.halves is not None:
        figures |= draft.halves.figures(kept, context.world)
    if draft.turn_weights is not None:
        figures |= draft.turn_weights.figures(table, kept, context.world)
    return figures
