"""Shapes that later methods need, each against an explicitly written loss, on one rank and on two.

They are not the methods themselves: they show that nothing in table, plan and terms forces a redesign.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.probes import TOP_K, check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import (
    Gate,
    student_tokens,
    teacher_entropy_above,
    teacher_tokens,
    top_entropy,
)
from understudy.objectives.needs import Needs, requires
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import sequence_mean_token_mean, token_mean
from understudy.objectives.rewards import centred_by_group, group_advantage
from understudy.objectives.schedules import cosine, linear
from understudy.objectives.shapes import floor
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import OnVocabulary, student_top_k, teacher_top_k
from understudy.objectives.terms import (
    RewardPart,
    divergence,
    likelihood,
    linearised,
    policy_gradient,
)
from understudy.objectives.trust import trust_region
from understudy.objectives.turns import turn_soft_or
from understudy.plans import Divergence, Ratio
from understudy.rollouts import Origin
from understudy.tokens import Hidden, TokenTable

CONTEXT = PlanContext(step=4, total_steps=9, seed=5)
LENGTHS = [[4], [6], [3], [5], [7], [2], [6], [4]]


def forward_kl_on_top_k(probe, live):
    top = probe.table.wide_column("teacher_top_k")
    return (top.logprobs.exp() * (top.logprobs - live.gather(1, top.ids))).sum(1)


def test_tropd_partitions_every_row_by_one_keyed_draw():
    rollouts = rollouts_of(LENGTHS)
    rollouts[1].turns[0].origin[:3] = Origin.TEACHER  # a teacher prefix
    probe = make_probe(rollouts, drift=0.0)
    trusted = trust_region()
    objective = Objective(
        {
            "trusted": policy_gradient(signal=teacher_log_ratio(), gate=student_tokens & trusted),
            "outliers": divergence(Divergence("forward"), support=teacher_top_k(TOP_K), gate=student_tokens & ~trusted),
            "guidance": likelihood(gate=teacher_tokens, coefficient=cosine(0.5, 0.1)),
        }
    )
    (plan,) = objective.plan(probe.table, CONTEXT)
    rows = torch.cat([term.rows for term in plan.terms])
    assert rows.sort().values.tolist() == list(range(probe.table.num_tokens))
    assert all(term.rows.numel() > 2 for term in plan.terms)

    table, count = probe.table, probe.table.num_tokens
    log_ratio = table["teacher_logprob"] - table["student_logprob"]
    own = table["origin"] == Origin.STUDENT
    inside = CONTEXT.uniform("trust_region", table) < log_ratio.exp().clamp(max=1)
    strength = cosine(0.5, 0.1)(CONTEXT)

    def loss(live):
        l = probe.at_token(live)
        kept = (own & inside) * -log_ratio * l
        outliers = (own & ~inside) * forward_kl_on_top_k(probe, live)
        return (kept + outliers - (~own).double() * strength * l).sum() / count

    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-12


def test_tropd_trusts_everything_when_the_teacher_is_the_student():
    probe = make_probe(rollouts_of(LENGTHS), drift=0.0)
    equal = probe.table["student_logprob"]
    probe.table = probe.table.with_tokens(teacher_logprob=equal + 4e-6 * torch.randn(equal.shape))
    assert bool(trust_region()(probe.table, CONTEXT).all())


def test_eopd_overlaps_terms_of_different_width():
    probe = make_probe(rollouts_of(LENGTHS))
    threshold = float(probe.table["teacher_entropy"].median())
    objective = Objective(
        {
            "policy": policy_gradient(signal=teacher_log_ratio(), ratio=Ratio("ppo", low=0.8, high=1.2)),
            "forward": divergence(
                Divergence("forward", support="target_renormalised"),
                support=teacher_top_k(TOP_K),
                gate=student_tokens & teacher_entropy_above(threshold),
            ),
        }
    )
    table = probe.table
    advantage = table["teacher_logprob"] - table["student_logprob"]
    uncertain = table["teacher_entropy"] > threshold
    top = table.wide_column("teacher_top_k")
    weight = top.logprobs.exp() / top.logprobs.exp().sum(1, keepdim=True)

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        surrogate = torch.minimum(rho * advantage, rho.clamp(0.8, 1.2) * advantage)
        forward = (weight * (weight.log() - live.gather(1, top.ids))).sum(1)
        return (-surrogate + uncertain * forward).sum() / table.num_tokens

    (plan,) = objective.plan(table, CONTEXT)
    assert 0 < plan.terms[1].rows.numel() < plan.terms[0].rows.numel() == table.num_tokens
    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-12


@pytest.mark.parametrize("support", ["renormalised", "tail", "detached_log"])
def test_student_top_k_is_chosen_at_plan_time(support):
    probe = make_probe(rollouts_of(LENGTHS))
    objective = Objective({"local": divergence(Divergence("reverse", support=support), support=student_top_k(TOP_K))})
    assert objective.needs == Needs(top_k={"student": TOP_K}, at_ids=frozenset({("teacher", "student_top_k")}))
    ids = probe.table.wide_column("student_top_k").ids
    target = probe.teacher.gather(1, ids)

    def loss(live):
        l, t = live.gather(1, ids), target
        if support == "renormalised":
            l, t = l - l.logsumexp(1, keepdim=True), t - t.logsumexp(1, keepdim=True)
        if support == "tail":
            l, t = (torch.cat([x, torch.log(1 - x.exp().sum(1, keepdim=True))], 1) for x in (l, t))
        inner = l.detach() if support == "detached_log" else l
        return (l.exp() * (inner - t)).sum() / probe.table.num_tokens

    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-10


@pytest.mark.parametrize(
    "kind", [Divergence("jsd", beta=0.3), Divergence("skew_forward", alpha=0.1), Divergence("skew_reverse", alpha=0.1)]
)
def test_full_vocabulary_divergences_take_the_teacher_from_hidden_states(kind):
    probe = make_probe(rollouts_of(LENGTHS))
    objective = Objective({"full": divergence(kind, support=OnVocabulary())})
    teacher = probe.teacher.exp()

    def loss(live):
        student = live.exp()
        if kind.kind == "jsd":
            middle = 0.3 * teacher + 0.7 * student
            value = 0.3 * teacher * (teacher / middle).log() + 0.7 * student * (student / middle).log()
        elif kind.kind == "skew_forward":
            value = teacher * (teacher / (0.1 * teacher + 0.9 * student)).log()
        else:
            value = student * (student / (0.9 * teacher + 0.1 * student)).log()
        return value.sum() / probe.table.num_tokens

    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-12


def test_atod_weighs_turns_of_fresh_prompts_and_mixes_the_reward_in():
    probe = make_probe(rollouts_of([[3, 5, 2], [4], [2, 2], [6, 1, 3, 2], [5, 4], [3, 3, 3]]))
    kappa, rho = linear(1.0, 0.1, over_steps=6), linear(0.1, 1.0, over_steps=6)
    objective = Objective(
        {
            "policy": policy_gradient(
                signal=teacher_log_ratio(),
                weight=turn_soft_or(),
                coefficient=kappa,
                reward=RewardPart(group_advantage(), rho),
                ratio=Ratio("ppo", low=0.8, high=1.2),
            )
        },
        reduction=sequence_mean_token_mean(),
    )
    table = probe.table
    assert table.turns["rollout"].numel() == 15 and len(set(table["context"].tolist())) == 15
    log_ratio = table["teacher_logprob"] - table["student_logprob"]
    weight = torch.zeros(table.num_tokens, dtype=torch.float64)
    for rollout in range(6):
        turns = sorted(set(table["turn"][table["rollout"] == rollout].tolist()))
        d = torch.stack([log_ratio[table["turn"] == u].abs().mean() for u in turns])
        h = torch.stack([-table["student_logprob"][table["turn"] == u].mean() for u in turns])
        d, h = (torch.full_like(x, 0.5) if len(x) == 1 else (x - x.min()) / (x.max() - x.min()) for x in (d, h))
        for u, w in zip(turns, 1 - (1 - d) * (1 - h), strict=True):
            weight[table["turn"] == u] = w
    rewards = table.rollouts["reward"].double().reshape(3, 2)
    scaled = ((rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-6)).reshape(-1)
    advantage = kappa(CONTEXT) * weight * log_ratio + rho(CONTEXT) * scaled[table["rollout"]].float()
    lengths = torch.bincount(table["rollout"])

    def loss(live):
        ratio = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        return -(surrogate / lengths[table["rollout"]]).sum() / 6

    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-6  # group statistics are float32


def test_a_group_counts_its_empty_rollout():
    rollouts = rollouts_of([[4], [], [3], [5]])
    probe = make_probe(rollouts)
    objective = Objective({"policy": policy_gradient(signal=group_advantage(kind="centred"), ratio=Ratio("one"))})
    (plan,) = objective.plan(probe.table, CONTEXT)
    of_first = plan.terms[0].row_loss.advantage[plan.terms[0].rows < 4, 0]
    reward = rollouts[0].reward
    assert torch.allclose(of_first, torch.full((int((plan.terms[0].rows < 4).sum()),), reward - reward / 2))
    centred, deviation = centred_by_group(torch.tensor([3.0, 0.0, 1.0, 1.0]), torch.tensor([7, 7, 2, 2]))
    assert centred.tolist() == [1.5, -1.5, 0.0, 0.0]
    assert deviation.tolist() == pytest.approx([4.5**0.5, 4.5**0.5, 0, 0])
    check_on_ranks(objective, probe)


@pytest.mark.parametrize("phase", ["explore", "refine"])
def test_reopold_normalises_each_of_two_updates_by_its_own_gated_tokens(phase):
    probe = make_probe(rollouts_of(LENGTHS))
    lowest = -0.5
    unclipped = Gate("unclipped", requires("teacher_logprob", "student_logprob")(_above(lowest)))
    gate = unclipped if phase == "explore" else top_entropy(0.2)
    objective = Objective(
        {"policy": policy_gradient(signal=teacher_log_ratio(), shape=floor(lowest), gate=student_tokens & gate)},
        reduction=token_mean(denominator="gated"),
        num_updates=2,
    )
    gradients = check_on_ranks(objective, probe)
    table = probe.table
    advantage = (table["teacher_logprob"] - table["student_logprob"]).clamp_min(lowest)
    if phase == "explore":
        kept = table["teacher_logprob"] - table["student_logprob"] >= lowest
    else:
        kept = table["student_entropy"] >= torch.quantile(table["student_entropy"], 0.8)
    assert len(gradients) == 2
    half = (len(table.rollouts["group"].unique()) + 1) // 2
    for part, found in enumerate(gradients):
        mine = kept & ((table.rollouts["group"][table["rollout"]] >= half) == bool(part))

        def loss(live, mine=mine):
            rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
            return -(mine * rho * advantage).sum() / mine.sum()

        assert mine.any()
        assert (found - probe.claimed(loss)).abs().max() < 1e-12


def _above(lowest):
    return lambda table, _: table["teacher_logprob"] - table["student_logprob"] >= lowest


def gspo_loss(logprob, table: TokenTable, context: PlanContext):
    """Sequence ratio, geometric mean over tokens, clipped; mean over the rollouts of all ranks."""
    length = torch.bincount(table["rollout"], minlength=table.num_rollouts).clamp_min(1)
    log_ratio = logprob - table["behaviour_logprob"]
    mean = torch.zeros(table.num_rollouts, dtype=logprob.dtype).index_add(0, table["rollout"], log_ratio) / length
    advantage = group_advantage()(table, context)
    per_rollout = torch.zeros(table.num_rollouts, dtype=logprob.dtype)
    per_rollout[table["rollout"]] = advantage.to(logprob.dtype)
    surrogate = torch.minimum(mean.exp() * per_rollout, mean.exp().clamp(0.9, 1.1) * per_rollout)
    count = context.world.sum(torch.tensor(float(table.num_rollouts), dtype=torch.float64))
    return -surrogate.sum() / count


def test_gspo_is_linearised_at_the_fresh_score():
    probe = make_probe(rollouts_of(LENGTHS))
    objective = Objective({"policy": linearised(gspo_loss, needs=Needs())})
    (found,) = check_on_ranks(objective, probe)
    claim = probe.claimed(lambda live: gspo_loss(probe.at_token(live), probe.table, CONTEXT))
    assert claim.abs().max() > 1e-3
    assert (found - claim).abs().max() < 1e-12


def test_mixed_weight_versions_keep_each_token_s_own_denominator():
    rollouts = rollouts_of(LENGTHS)
    for rollout in rollouts[::2]:
        rollout.turns[0].weight_version[2:] = 4
    probe = make_probe(rollouts, drift=0.8)
    assert set(probe.table["weight_version"].tolist()) == {3, 4}
    low, high = 0.5, 2.0
    objective = Objective(
        {"policy": policy_gradient(signal=teacher_log_ratio(), ratio=Ratio("masked", low=low, high=high))}
    )
    table = probe.table
    advantage = table["teacher_logprob"] - table["student_logprob"]

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        return -(((rho >= low) & (rho <= high)) * rho * advantage).sum() / table.num_tokens

    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-12


def test_sdpo_divergence_with_a_frozen_importance_weight():
    """The privileged teacher's scores arrive as columns like any other (its view: tests/training/test_views.py)."""
    probe = make_probe(rollouts_of(LENGTHS))

    @requires("student_logprob")
    def frozen(table, _):
        return (table["student_logprob"] - table["behaviour_logprob"]).exp().clamp(max=2.0)

    objective = Objective(
        {"self": divergence(Divergence("jsd", beta=0.5, support="tail"), support=student_top_k(TOP_K), weight=frozen)}
    )
    ids = probe.table.wide_column("student_top_k").ids

    def loss(live):
        l, t = (
            torch.cat([x, torch.log(1 - x.exp().sum(1, keepdim=True))], 1)
            for x in (live.gather(1, ids), probe.teacher.gather(1, ids))
        )
        middle = ((l.exp() + t.exp()) / 2).log()
        value = ((t.exp() * (t - middle)).sum(1) + (l.exp() * (l - middle)).sum(1)) / 2
        return (frozen(probe.table, CONTEXT) * value).sum() / probe.table.num_tokens

    (found,) = check_on_ranks(objective, probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-10


def test_teacher_entries_of_no_mass_give_no_nan():
    probe = make_probe(rollouts_of(LENGTHS))
    probe.teacher = probe.teacher.clone()
    probe.teacher[:, -1] = -torch.inf
    top = probe.table.wide_column("teacher_top_k")
    logprobs = top.logprobs.clone()
    logprobs[:, -1] = -torch.inf
    table = probe.table.with_wide(teacher_top_k=replace(top, logprobs=logprobs))
    table = table.with_hidden(teacher=Hidden(probe.teacher, lambda states: states))
    table = table.with_tokens(teacher_logprob=torch.full_like(table["teacher_logprob"], -torch.inf))
    probe.table = table
    for term in (
        policy_gradient(signal=teacher_log_ratio()),
        *(divergence(Divergence(kind), support=teacher_top_k(TOP_K)) for kind in ("forward", "reverse", "jsd")),
        *(divergence(Divergence(kind), support=OnVocabulary()) for kind in ("forward", "reverse", "jsd")),
    ):
        assert torch.isfinite(probe.gradient(Objective({"term": term}).plan(table, CONTEXT))).all()


def test_an_all_gated_batch_is_exactly_zero():
    probe = make_probe(rollouts_of(LENGTHS))
    for reduction in (token_mean(denominator="gated"), sequence_mean_token_mean(denominator="gated")):
        term = policy_gradient(signal=teacher_log_ratio(), gate=teacher_tokens)
        (plan,) = Objective({"policy": term}, reduction=reduction).plan(probe.table, CONTEXT)
        assert plan.terms[0].rows.numel() == 0 and torch.equal(probe.gradient([plan]), torch.zeros(5, 9).double())
