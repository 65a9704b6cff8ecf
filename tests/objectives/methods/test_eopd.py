"""eopd: reverse KL everywhere, forward KL on top where the teacher is unsure."""

from __future__ import annotations

import math

import pytest
import torch

from tests.objectives.claims import at_visited_states, distance, on_policy, reverse_kl
from tests.objectives.oracle import expected_gradient, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.eopd import EOPD
from understudy.rollouts import Origin

TAU = 0.8


def claim_of(chain, *, alpha, gate=None, flip=1):
    teacher = chain.teacher.log_softmax(1)
    entropy = -(teacher.exp() * teacher).sum(1)
    unsure = entropy > TAU if gate is None else gate
    top = teacher.topk(2)
    target = top.values.log_softmax(1)

    def loss(live):
        forward = (target.exp() * (target - live.gather(1, top.indices))).sum(1)
        return reverse_kl(chain)(live) + flip * alpha * unsure.double() * forward

    return at_visited_states(chain, loss), unsure


@pytest.mark.parametrize(("seed", "alpha"), [(0, 1.0), (1, 0.3)])
def test_expected_gradient_is_the_claimed_one(seed, alpha):
    chain = make_chain(seed)
    found = on_policy(EOPD(alpha=alpha, top_k=2, reduction="token_sum"), chain)
    claim, unsure = claim_of(chain, alpha=alpha)
    assert 0 < int(unsure.sum()) < unsure.numel()
    assert distance(found, claim) < 1e-9
    assert distance(found, claim_of(chain, alpha=alpha, flip=-1)[0]) > 1e-3
    assert distance(found, claim_of(chain, alpha=alpha, gate=~unsure)[0]) > 1e-3


def test_an_infinite_threshold_is_opd_and_asks_for_no_top_k():
    chain = make_chain(2)
    never = EOPD(tau=math.inf, reduction="token_sum")
    assert torch.equal(on_policy(never, chain), on_policy(OPD(reduction="token_sum"), chain))
    assert objective_of(never).needs == objective_of(OPD()).needs


def test_the_clip_holds_what_moved_too_far_since_sampling():
    probe = make_probe(rollouts_of([[4], [6], [3], [5]]), drift=1.0)
    table, clip = probe.table, 0.2
    advantage = table["teacher_logprob"] - table["student_logprob"]
    top = table.wide_column("teacher_top_k")
    target = top.logprobs[:, :3].log_softmax(1)
    unsure = table["teacher_entropy"] > 1.5

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        clipped = torch.maximum(-rho * advantage, -rho.clamp(1 - clip, 1 + clip) * advantage)
        forward = (target.exp() * (target - live.gather(1, top.ids[:, :3]))).sum(1)
        return (clipped + unsure * forward).sum() / table.num_tokens

    rho = (table["student_logprob"] - table["behaviour_logprob"]).exp()
    flat = ((advantage > 0) & (rho > 1 + clip)) | ((advantage < 0) & (rho < 1 - clip))
    assert flat.any() and 0 < int(unsure.sum()) < table.num_tokens
    (found,) = check_on_ranks(objective_of(EOPD(tau=1.5, top_k=3, clip=clip)), probe)
    assert distance(found, probe.claimed(loss)) < 1e-12


def test_teacher_equal_to_student_leaves_nothing_where_it_is_sure_or_the_support_is_all():
    chain = make_chain(3)
    chain.teacher = chain.logits.detach().clone()
    ones = torch.ones(len(chain.sequences))
    for settings in (EOPD(tau=1.2, reduction="token_sum"), EOPD(top_k=3, reduction="token_sum")):
        found = expected_gradient(
            objective_of(settings), chain, origin=Origin.STUDENT, probability=ones, context=PlanContext(), k=3
        )
        assert found.abs().max() < 1e-12
