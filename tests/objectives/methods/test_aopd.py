"""aopd: reinforcement above the gap, imitation below it, and the two ends of tau."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.claims import (
    at_visited_states,
    distance,
    forward_kl_top_k,
    log_ratio,
    on_policy,
    pulled_by,
    reverse_kl,
)
from tests.objectives.oracle import expected_gradient, make_chain, rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.aopd import AOPD
from understudy.objectives.trust import probability_gap_above
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


def config(**fields) -> AOPD:
    return AOPD(reduction="token_sum", **{"top_k": 2, **fields})


def claim_of(chain, tau, *, imitate, flip=1):
    student = chain.logits.detach().softmax(1)
    prefers = chain.teacher.softmax(1) - student > tau
    reinforced = pulled_by(prefers * log_ratio(chain), chain)
    share = (student * ~prefers).sum(1)
    return at_visited_states(chain, lambda live: flip * reinforced(live) + share * imitate(live))


@pytest.mark.parametrize("tau", [-0.2, 0.0, 0.1])
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_the_claimed_one(tau, seed):
    chain = make_chain(seed)
    found = on_policy(config(tau=tau), chain)
    assert distance(found, claim_of(chain, tau, imitate=forward_kl_top_k(chain, 2))) < 1e-9


def test_a_flipped_sign_or_another_threshold_would_be_noticed():
    chain = make_chain(0)
    found = on_policy(config(), chain)
    assert distance(found, claim_of(chain, 0.0, imitate=forward_kl_top_k(chain, 2), flip=-1)) > 1e-3
    assert distance(found, claim_of(chain, 0.1, imitate=forward_kl_top_k(chain, 2))) > 1e-3


@pytest.mark.parametrize("support", ["target_renormalised", "renormalised"])
def test_renormalised_supports_follow_their_own_claims(support):
    chain = make_chain(2)
    top = chain.teacher.log_softmax(1).topk(2)
    target = top.values.log_softmax(1)

    def imitate(live):
        own = live.gather(1, top.indices)
        own = own.log_softmax(1) if support == "renormalised" else own
        return (target.exp() * (target - own)).sum(1)

    assert distance(on_policy(config(support=support), chain), claim_of(chain, 0.0, imitate=imitate)) < 1e-9


def test_tau_minus_one_is_opd():
    chain = make_chain(3)
    assert torch.equal(on_policy(config(tau=-1), chain), on_policy(OPD(reduction="token_sum"), chain))
    assert objective_of(AOPD(tau=-1)).needs == objective_of(OPD()).needs  # and no top-k is asked for
    assert distance(on_policy(config(tau=-1), chain), at_visited_states(chain, reverse_kl(chain))) < 1e-9


def test_tau_minus_one_keeps_even_a_certain_token_that_the_teacher_calls_impossible():
    certain = rollout_of([1], key=0, group=0, origin=Origin.STUDENT)
    table = batch_of([certain], contexts_of([certain])).table
    none, all_mass = torch.tensor([-torch.inf]), torch.tensor([0.0])
    table = table.with_tokens(teacher_logprob=none, student_logprob=all_mass, behaviour_logprob=all_mass)
    assert not probability_gap_above(-1.0)(table, PlanContext()).any()  # a gap of exactly -1
    (plan,) = objective_of(AOPD(tau=-1)).plan(table, PlanContext())
    assert plan.terms[0].rows.tolist() == [0]


def test_tau_one_is_forward_kl_on_the_top_k_alone():
    chain = make_chain(4)
    claim = at_visited_states(chain, forward_kl_top_k(chain, 2))
    assert distance(on_policy(config(tau=1), chain), claim) < 1e-9
    assert list(objective_of(AOPD(tau=1)).terms) == ["imitated"]


@pytest.mark.parametrize("fields", [{"top_k": 3}, {"support": "renormalised"}])
def test_teacher_equal_to_student_leaves_nothing_where_the_support_is_all_or_renormalised(fields):
    chain = make_chain(5)
    chain.teacher = chain.logits.detach().clone()
    assert on_policy(config(**fields), chain, k=fields.get("top_k", 2)).abs().max() < 1e-12
    assert on_policy(config(), chain).abs().max() > 1e-3  # raw probabilities on fewer: identity 5


def test_every_sequence_weighs_the_same():
    chain = make_chain(6)
    batch = chain.batch(Origin.STUDENT)
    (plan,) = objective_of(AOPD(top_k=2)).plan(chain.filled(batch), PlanContext())
    weight = torch.zeros(batch.table.num_tokens, dtype=torch.float64)
    for term in plan.terms:
        weight[term.rows] += term.weights
    each = torch.zeros(batch.table.num_rollouts, dtype=torch.float64).index_add_(0, batch.table["rollout"], weight)
    assert torch.allclose(each, torch.full_like(each, 1 / batch.table.num_rollouts), atol=1e-12)


def test_the_gap_is_one_of_probabilities():
    chain = make_chain(7)
    table = chain.filled(chain.batch(Origin.STUDENT))
    gap = table["teacher_logprob"].exp() - table["student_logprob"].exp()
    assert torch.equal(probability_gap_above(0.05)(table, PlanContext()), gap > 0.05)
    found = expected_gradient(
        objective_of(config(tau=0.05)), chain, origin=Origin.TEACHER, probability=torch.ones(len(chain.sequences))
    )
    assert torch.equal(found, torch.zeros_like(found))  # only the student's own tokens take part
