"""Terms with named slots. Whatever the order of writing, slots apply in one fixed order:

signal, baseline, to_go, shape, gate, weight, coefficient, reward, ratio, reduction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate, every_token, student_tokens
from understudy.objectives.hybrid import Halves, TurnWeight, TurnWeights
from understudy.objectives.needs import Needs, needs_of
from understudy.objectives.reductions import Reduction, token_sum
from understudy.objectives.schedules import Schedule, as_schedule
from understudy.objectives.shapes import Shape
from understudy.objectives.signals import discounted_to_go
from understudy.objectives.supports import OnIds, OnVocabulary
from understudy.plans import Divergence, Full, Ids, Likelihood, Ratio, RowLoss, ToTarget
from understudy.tokens import TokenTable


@dataclass(frozen=True, eq=False)
class Draft:
    """A term planned for the whole batch, before reduction.

    Args:
        gate: [N] bool, the rows the term sees. scale: [N], weight and coefficient.
        row_loss, support: with constants for all N rows.
        halves, turn_weights: what is told of the advantage, where it has two parts or weighs turns.
    """

    gate: Tensor
    scale: Tensor
    row_loss: RowLoss
    support: Ids | Full
    halves: Halves | None = None
    turn_weights: TurnWeights | None = None


@dataclass(frozen=True)
class Term:
    """A recipe for one term of the loss.

    Args:
        needs: what the table must hold. draft: plans it for a whole batch.
        reduction: None takes the objective's. fresh: the draft holds for one update only.
    """

    needs: Needs
    draft: Callable[[TokenTable, PlanContext], Draft]
    reduction: Reduction | None = None
    fresh: bool = False


@dataclass(frozen=True)
class RewardPart:
    """A reward advantage added to the distillation signal: ``coefficient * advantage``."""

    advantage: Slot
    coefficient: float | Schedule = 1.0


def policy_gradient(
    *,
    signal: Slot,
    baseline: Slot | None = None,
    to_go: float = 0.0,
    shape: Shape | None = None,
    gate: Gate = student_tokens,
    weight: Slot | None = None,
    coefficient: float | Schedule = 1.0,
    reward: RewardPart | None = None,
    ratio: Ratio | None = None,
    old: Literal["sampler", "student"] = "sampler",
    reduction: Reduction | None = None,
) -> Term:
    """-f(rho) A grad log pi_S, with A = coefficient * weight * shape(to_go(signal - baseline)) + reward.

    Only tokens the student chose take part, before and after the sum to go, whatever the gate says.

    Args:
        to_go: discount of the sum over later tokens; 0 is the token-level gradient.
        ratio: f(rho); None is the plain importance ratio.
        old: whose log-prob is rho's denominator: the ``sampler``'s, or the ``student``'s own when the step was planned,
            which leaves what lies between the two to a weight (``sampler_ratio``).
    """
    ratio = Ratio("importance") if ratio is None else ratio
    schedule = as_schedule(coefficient)

    def draft(table: TokenTable, context: PlanContext) -> Draft:
        own = student_tokens(table, context)
        advantage = _masked(signal(table, context), own)
        if baseline is not None:
            advantage = _masked(advantage - baseline(table, context), own)
        advantage = discounted_to_go(advantage, gamma=to_go, rollout=table["rollout"], index=table["index_in_rollout"])
        advantage = _masked(advantage, own)
        if shape is not None:
            advantage = shape(advantage)
        halves, turn_weights = None, None
        if weight is not None:
            weights = weight(table, context)
            advantage = weights * advantage
            turn_weights = TurnWeights(weight.name, weights) if isinstance(weight, TurnWeight) else None
        advantage = schedule(context) * advantage
        if reward is not None:
            rl_coef = as_schedule(reward.coefficient)(context)
            halves = Halves(advantage, rl_coef * reward.advantage(table, context), schedule(context), rl_coef)
            advantage = halves.distillation + halves.reward
        old_logprob = None if ratio.kind == "one" else table[_OLD[old]][:, None]
        return Draft(
            gate=own & gate(table, context),
            scale=torch.ones_like(advantage),
            row_loss=Likelihood(advantage=advantage[:, None], ratio=ratio, old_logprob=old_logprob),
            support=_sampled(table),
            halves=halves,
            turn_weights=turn_weights,
        )

    reward_slot = reward.advantage if reward is not None else None
    own_needs = Needs(columns=frozenset({"student_logprob"} if old == "student" else ()))
    return Term(own_needs | needs_of(signal, baseline, gate, weight, reward_slot), draft, reduction)


def likelihood(
    *,
    gate: Gate,
    weight: Slot | None = None,
    coefficient: float | Schedule = 1.0,
    reduction: Reduction | None = None,
) -> Term:
    """Negative log-likelihood of the gated tokens: a policy gradient of advantage 1 without ratio."""

    def draft(table: TokenTable, context: PlanContext) -> Draft:
        ones = torch.ones(table.num_tokens, 1, dtype=torch.float32)
        return Draft(
            gate=gate(table, context),
            scale=_scale(table, context, weight, as_schedule(coefficient)),
            row_loss=Likelihood(advantage=ones),
            support=_sampled(table),
        )

    return Term(needs_of(gate, weight), draft, reduction)


def to_target(
    *,
    target: Slot,
    kind: Literal["square", "huber", "k3"] = "square",
    delta: float = 1.0,
    gate: Gate = student_tokens,
    weight: Slot | None = None,
    coefficient: float | Schedule = 1.0,
    reduction: Reduction | None = None,
) -> Term:
    """A directly differentiated function of d = live log-prob of the token - target.

    In expectation over the student's own samples ``square`` has the gradient of KL(S||T), ``k3`` that of KL(T||S)
    (identity 4 of docs/methods/identities.md), T the distribution whose log-prob is the target.

    Args:
        target: [N] nats, e.g. the teacher's or the reference's log-prob. kind, delta: see ``ToTarget``.
    """

    def draft(table: TokenTable, context: PlanContext) -> Draft:
        return Draft(
            gate=gate(table, context),
            scale=_scale(table, context, weight, as_schedule(coefficient)),
            row_loss=ToTarget(target=target(table, context)[:, None], kind=kind, delta=delta),
            support=_sampled(table),
        )

    return Term(needs_of(target, gate, weight), draft, reduction)


def divergence(
    divergence: Divergence,
    *,
    support: OnIds | OnVocabulary,
    gate: Gate = every_token,
    weight: Slot | None = None,
    coefficient: float | Schedule = 1.0,
    reduction: Reduction | None = None,
    student_power: float | Schedule | None = None,
) -> Term:
    """A directly differentiated divergence to a scorer's distribution, on K ids or the whole vocabulary.

    Args:
        student_power: the divergence's exponent of the student in the target, as a function of the step.
    """

    def draft(table: TokenTable, context: PlanContext) -> Draft:
        row_loss = divergence
        if student_power is not None:
            row_loss = replace(row_loss, student_power=as_schedule(student_power)(context))
        where: Ids | Full
        if isinstance(support, OnIds):
            candidates = support.candidates(table)
            row_loss, where = replace(row_loss, target=candidates.target), candidates.support
        else:
            where = support.place(table)
        return Draft(
            gate=gate(table, context),
            scale=_scale(table, context, weight, as_schedule(coefficient)),
            row_loss=row_loss,
            support=where,
        )

    return Term(needs_of(support, gate, weight), draft, reduction)


def linearised(
    loss: Callable[[Tensor, TokenTable, PlanContext], Tensor], *, needs: Needs, gate: Gate = student_tokens
) -> Term:
    """A loss that is not row-local, replaced for one update by its gradient with respect to each log-prob.

    Args:
        loss: (fresh student_logprob [N] with gradient, table, context) -> scalar, already normalised over ranks.
        needs: what it reads beside ``student_logprob``.
    """

    def draft(table: TokenTable, context: PlanContext) -> Draft:
        logprob = table["student_logprob"].detach().clone().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(loss(logprob, table, context), logprob)
        return Draft(
            gate=gate(table, context),
            scale=torch.ones_like(gradient),
            row_loss=Likelihood(advantage=-gradient[:, None]),
            support=_sampled(table),
        )

    own = Needs(columns=frozenset({"student_logprob"}))
    return Term(own | needs | needs_of(gate), draft, token_sum(), fresh=True)


_OLD = {"sampler": "behaviour_logprob", "student": "student_logprob"}


def _sampled(table: TokenTable) -> Ids:
    return Ids(table["token_id"][:, None])


def _masked(column: Tensor, keep: Tensor) -> Tensor:
    return torch.where(keep, column, torch.zeros_like(column))


def _scale(table: TokenTable, context: PlanContext, weight: Slot | None, schedule: Schedule) -> Tensor:
    column = torch.ones(table.num_tokens, dtype=torch.float64) if weight is None else weight(table, context)
    return schedule(context) * column
