"""atod: its gradient against weights, schedules and advantages worked out in plain Python."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch
from pydantic import ValidationError

from tests.objectives.groups import (
    Groups,
    expected_group_gradient,
    logprobs_of,
    make_rewards,
    policy_gradient_claim,
    standardised,
    turns_of,
)
from tests.objectives.oracle import expected_gradient, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.atod import ATOD
from understudy.objectives.turns import token_soft_or, turn_soft_or
from understudy.rollouts import Origin

CONTEXT = PlanContext(step=3, total_steps=9)
KAPPA, RHO = 0.55, 0.55  # half-way through six steps: 1 -> 0.1 and 0.1 -> 1


def scaled(values: list[float]) -> list[float]:
    span = max(values) - min(values)
    return [0.5] * len(values) if span < 1e-8 else [(v - min(values)) / span for v in values]


def soft_or(parts: list[list[int]], student: list[float], teacher: list[float]) -> list[float]:
    """One weight a token; ``parts`` are the turns, or single tokens."""
    d = scaled([fmean(abs(teacher[t] - student[t]) for t in part) for part in parts])
    h = scaled([fmean(-student[t] for t in part) for part in parts])
    return [1 - (1 - x) * (1 - y) for x, y, part in zip(d, h, parts, strict=True) for _ in part]


def advantage(groups: Groups, config: ATOD):
    def of(i: int, j: int) -> list[float]:
        student, teacher = logprobs_of(groups, i)
        turns = turns_of(groups, groups.chain.sequences[i])
        parts = {"turn": turns, "token": [[t] for t in range(len(student))], "none": None}[config.weight]
        weights = soft_or(parts, student, teacher) if parts else [1.0] * len(student)
        reward = RHO * standardised(groups, i, j)
        return [
            KAPPA * max(w, config.weight_floor) * (lt - ls) + reward
            for w, lt, ls in zip(weights, teacher, student, strict=True)
        ]

    return of


@pytest.mark.parametrize("options", [{}, {"weight": "token"}, {"weight": "none"}, {"weight_floor": 0.3}], ids=str)
def test_expected_gradient_is_the_claimed_one(options):
    chain = make_chain(0)
    groups = Groups(chain, make_rewards(chain), first_turn=1)
    config = ATOD(coef_anneal_steps=6, reduction="token_sum", **options)
    found = expected_group_gradient(objective_of(config), groups, context=CONTEXT)
    claim = policy_gradient_claim(groups, advantage(groups, config))
    assert (found - claim).abs().max() < 1e-9
    flipped = policy_gradient_claim(groups, lambda i, j: [-a for a in advantage(groups, config)(i, j)])
    assert (found - flipped).abs().max() > 1e-3
    if config.weight != "none":
        unweighted = advantage(groups, ATOD(weight="none", **{k: v for k, v in options.items() if k != "weight"}))
        assert (found - policy_gradient_claim(groups, unweighted)).abs().max() > 1e-3


def test_weights_by_hand():
    """Turns of two tokens: d = 1, 3, 2 and h = 4, 2, 3, so d~ = 0, 1, 1/2, h~ = 1, 0, 1/2 and w = 1, 1, 3/4."""
    probe = make_probe(rollouts_of([[2, 2, 2], [3]]))
    student = -torch.tensor([3.0, 5.0, 1.0, 3.0, 2.0, 4.0, 7.0, 7.0, 7.0], dtype=torch.float64)
    drift = torch.tensor([1.0, -1.0, 4.0, 2.0, -3.0, 1.0, 2.0, 0.0, 1.0], dtype=torch.float64)
    table = probe.table.with_tokens(student_logprob=student, teacher_logprob=student + drift)
    weights = turn_soft_or()(table, PlanContext())
    assert weights.tolist() == [1, 1, 1, 1, 0.75, 0.75, 0.75, 0.75, 0.75]  # a lone turn: 1 - 1/2 * 1/2


def with_a_wild_teacher_inside(student: list[float], drift: list[float], *, wild: list[int]):
    """The table of one rollout of turns of two and three tokens; those at ``wild`` are a teacher's."""
    rollouts = rollouts_of([[2, 3]])
    origin = torch.cat([turn.origin for turn in rollouts[0].turns])
    origin[wild] = Origin.TEACHER
    for turn, part in zip(rollouts[0].turns, origin.split([2, 3]), strict=True):
        turn.origin[:] = part
    own = torch.tensor(student, dtype=torch.float64)
    table = make_probe(rollouts).table
    return table.with_tokens(student_logprob=own, teacher_logprob=own + torch.tensor(drift, dtype=torch.float64))


@pytest.mark.parametrize("wild", [0.0, 50.0])
def test_a_turn_is_weighed_by_the_student_s_own_tokens(wild):
    """d = 1 and 3, h = 2 and 1 of the two turns, whatever a teacher wrote in them; as tokens d~ and h~ likewise."""
    table = with_a_wild_teacher_inside([-2, -wild, -1, -1, -wild], [1, wild, 3, -3, -wild], wild=[1, 4])
    own = table["origin"] == Origin.STUDENT
    assert turn_soft_or()(table, PlanContext())[own].tolist() == [1, 1, 1]
    assert token_soft_or()(table, PlanContext())[own].tolist() == [1, 1, 1]
    lower = table.with_tokens(student_logprob=torch.where(own, -2.0, table["student_logprob"]))
    lower = lower.with_tokens(teacher_logprob=lower["student_logprob"] + torch.tensor([1.0, wild, 3.0, -3.0, -wild]))
    assert turn_soft_or()(lower, PlanContext())[own].tolist() == [0.5, 1, 1]  # h is the same: 1/2
    assert token_soft_or()(lower, PlanContext())[own].tolist() == [0.5, 1, 1]


def test_no_token_weighs_less_than_the_floor_either():
    table = with_a_wild_teacher_inside([-1, -1, -2, -2, -3], [1, 1, 2, -2, 3], wild=[])
    assert token_soft_or()(table, PlanContext()).tolist() == [0, 0, 0.75, 0.75, 1]
    assert token_soft_or(lowest=0.25)(table, PlanContext()).tolist() == [0.25, 0.25, 0.75, 0.75, 1]


def test_coefficients_run_over_their_own_window_and_stay():
    """At step 2 of 4: kappa 0.55, rho 0.55; from step 4 on: 0.1 and 1, though training goes on to step 10."""
    probe = make_probe(rollouts_of([[2], [3], [4], [1]]), drift=0.0)
    table = probe.table
    log_ratio = table["teacher_logprob"] - table["student_logprob"]
    rewards = table.rollouts["reward"].double().reshape(2, 2)
    reward = ((rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-6)).reshape(-1)
    for step, kappa, rho in ((0, 1.0, 0.1), (2, 0.55, 0.55), (4, 0.1, 1.0), (9, 0.1, 1.0)):
        (plan,) = objective_of(ATOD(weight="none", coef_anneal_steps=4)).plan(table, PlanContext(step, 10))
        expected = kappa * log_ratio + rho * reward[table["rollout"]]
        assert (plan.terms[0].row_loss.advantage[:, 0] - expected).abs().max() < 1e-6  # rewards are float32


def test_a_weight_of_nothing_at_the_end_is_refused():
    with pytest.raises(ValidationError, match="kappa_min"):
        ATOD(kappa_min=0)


def test_teacher_equal_to_student_and_equal_rewards_give_exactly_zero():
    chain = make_chain(3)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    found = expected_gradient(
        objective_of(ATOD(reduction="token_sum")),
        chain,
        origin=Origin.STUDENT,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(found, torch.zeros_like(found))


def test_turns_of_fresh_prompts_on_one_rank_and_on_two_with_the_clip_and_the_mean_over_episodes():
    probe = make_probe(rollouts_of([[3, 5, 2], [4], [2, 2], [6, 1, 3, 2], [5, 4], []]), drift=0.5)
    table = probe.table
    (plan,) = objective_of(ATOD(coef_anneal_steps=6)).plan(table, PlanContext(step=4, total_steps=9, seed=5))
    advantage = plan.terms[0].row_loss.advantage[:, 0]
    lengths = torch.bincount(table["rollout"], minlength=6)[table["rollout"]]

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        surrogate = torch.minimum(rho * advantage, rho.clamp(0.8, 1.2) * advantage)
        return -(surrogate / lengths).sum() / 5  # the empty episode has no mean

    (found,) = check_on_ranks(objective_of(ATOD(coef_anneal_steps=6)), probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-12
