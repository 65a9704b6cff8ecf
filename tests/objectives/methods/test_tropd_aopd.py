"""tropd_aopd: TrOPD's gradient, and AOPD's positive branch once more."""

from __future__ import annotations

import torch

from tests.objectives.claims import at_visited_states, distance, log_ratio, on_policy, pulled_by
from tests.objectives.oracle import expected_gradient, make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.tropd import TrOPD
from understudy.objectives.methods.tropd_aopd import TrOPDAOPD
from understudy.rollouts import Origin

TRUST = {"region": "expected", "top_k": 2, "guidance": False, "reduction": "token_sum"}


def preferred(chain, gap):
    return chain.teacher.softmax(1) - chain.logits.detach().softmax(1) > gap


def test_expected_gradient_is_tropd_s_and_the_second_pull():
    for seed, gap, weight in ((0, 0.0, 1.0), (1, 0.1, 0.5), (2, -0.1, 2.0)):
        chain = make_chain(seed)
        found = on_policy(TrOPDAOPD(aopd_tau=gap, aopd_weight=weight, **TRUST), chain)
        once_more = at_visited_states(chain, pulled_by(preferred(chain, gap) * weight * log_ratio(chain), chain))
        assert distance(found, on_policy(TrOPD(**TRUST), chain) + once_more) < 1e-9
        assert distance(found, on_policy(TrOPD(**TRUST), chain) - once_more) > 1e-3


def test_what_the_teacher_prefers_is_trusted_and_pulled_twice_as_opd_pulls():
    chain = make_chain(3)
    table = chain.filled(chain.batch(Origin.STUDENT))
    settings = TrOPDAOPD(**{**TRUST, "region": "bernoulli"})
    (plan,) = objective_of(settings).plan(table, PlanContext(seed=3))
    by_name = {term.name: term for term in plan.terms}
    reinforced = set(by_name["reinforced"].rows.tolist())
    assert 0 < len(reinforced) < table.num_tokens
    assert reinforced <= set(by_name["trusted"].rows.tolist())
    assert not reinforced & set(by_name["outliers"].rows.tolist())
    ratio = table["teacher_logprob"] - table["student_logprob"]
    assert torch.equal(by_name["reinforced"].row_loss.advantage[:, 0], ratio[by_name["reinforced"].rows])


def test_teacher_equal_to_student_gives_exactly_zero_without_guidance():
    chain = make_chain(4)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    found = on_policy(TrOPDAOPD(**TRUST), chain)
    assert torch.equal(found, torch.zeros_like(found))


def test_guidance_is_tropd_s():
    chain = make_chain(5)
    probability = chain.sequence_logprob(chain.teacher).exp()
    guided = {**TRUST, "guidance": True, "guidance_weight": 0.3}
    both = [
        expected_gradient(objective_of(settings), chain, origin=Origin.TEACHER, probability=probability)
        for settings in (TrOPD(**guided), TrOPDAOPD(**guided))
    ]
    assert both[0].abs().max() > 1e-3 and torch.equal(*both)
    assert objective_of(TrOPDAOPD()).writing.needs_teacher_text
