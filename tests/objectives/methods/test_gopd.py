"""gopd and exopd: the teacher's step away from a reference, scaled; what is read of the reference, and when."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from tests.objectives.claims import at_visited_states, distance, log_ratio, on_policy, pulled_by
from tests.objectives.oracle import make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.exopd import ExOPD
from understudy.objectives.methods.gopd import GOPD
from understudy.rollouts import Origin


def chain_with_reference(seed):
    chain = make_chain(seed)
    chain.reference = torch.randn(chain.teacher.shape, generator=torch.Generator().manual_seed(50 + seed)).double()
    return chain


def geometric(chain, scale):
    """[P, V] log q, q in proportion to T^scale R^(1 - scale)."""
    mixed = scale * chain.teacher.log_softmax(1) + (1 - scale) * chain.reference.log_softmax(1)
    return mixed.log_softmax(1)


def to_geometric(chain, scale):
    target = geometric(chain, scale)
    return at_visited_states(chain, lambda live: (live.exp() * (live - target)).sum(1))


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 1.25, 1.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_reverse_kl_to_the_geometric_target(scale, seed):
    chain = chain_with_reference(seed)
    found = on_policy(GOPD(lambda_=scale, reduction="token_sum"), chain)
    assert distance(found, to_geometric(chain, scale)) < 1e-9


def test_exopd_is_gopd_beyond_the_teacher():
    chain = chain_with_reference(2)
    found = on_policy(ExOPD(reduction="token_sum"), chain)
    assert distance(found, to_geometric(chain, 1.25)) < 1e-9
    assert torch.equal(found, on_policy(GOPD(lambda_=1.25, reduction="token_sum"), chain))
    for refused in (1.0, 0.5):
        with pytest.raises(ValidationError, match="greater than 1"):
            ExOPD(lambda_=refused)


def test_a_flipped_step_or_a_missing_one_would_be_noticed():
    chain = chain_with_reference(0)
    found = on_policy(GOPD(lambda_=1.5, reduction="token_sum"), chain)
    assert distance(found, to_geometric(chain, 0.5)) > 1e-3
    assert distance(found, to_geometric(chain, 1.0)) > 1e-3


@pytest.mark.parametrize("scale", [0.5, 1.25])
def test_identity_8_the_geometric_mixture_is_the_optimum(scale):
    chain = chain_with_reference(3)
    chain.logits = geometric(chain, scale).detach().requires_grad_()
    assert on_policy(GOPD(lambda_=scale, reduction="token_sum"), chain).abs().max() < 1e-12


def test_lambda_one_is_opd_whatever_the_reference_and_reads_none():
    chain = chain_with_reference(4)
    opd = on_policy(OPD(reduction="token_sum"), chain)
    assert torch.equal(on_policy(GOPD(lambda_=1.0, reduction="token_sum"), chain), opd)
    chain.reference = None
    assert torch.equal(on_policy(GOPD(lambda_=1.0, reduction="token_sum"), chain), opd)
    assert "reference" not in objective_of(GOPD(lambda_=1.0, sure_below=0.5)).needs.scorers()
    for scale in (0.5, 1.25):
        assert "reference" in objective_of(GOPD(lambda_=scale)).needs.scorers()


def test_teacher_student_and_reference_all_equal_give_exactly_zero():
    chain = chain_with_reference(5)

    def nearly():
        return chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)

    chain.teacher, chain.reference = nearly(), nearly()
    found = on_policy(GOPD(reduction="token_sum"), chain)
    assert torch.equal(found, torch.zeros_like(found))


def test_lambda_is_at_most_one_where_the_teacher_is_sure():
    chain, line = chain_with_reference(6), 0.8
    teacher = chain.teacher.log_softmax(1)
    sure = -(teacher.exp() * teacher).sum(1) < line
    assert 0 < int(sure.sum()) < sure.numel()
    step = (teacher - chain.reference.log_softmax(1)) * ~sure[:, None]
    claim = at_visited_states(chain, pulled_by(log_ratio(chain) + 0.25 * step, chain))
    assert distance(on_policy(GOPD(sure_below=line, reduction="token_sum"), chain), claim) < 1e-9
    # Below 1 there is nothing to cap, and no entropy is asked for.
    assert "teacher_entropy" not in objective_of(GOPD(lambda_=0.5, sure_below=line)).needs.columns
    plain, capped = (GOPD(lambda_=0.5, sure_below=s, reduction="token_sum") for s in (None, line))
    assert torch.equal(on_policy(plain, chain), on_policy(capped, chain))


def test_a_dual_clip_on_the_student_s_own_ratio_and_a_capped_weight_for_the_sampler_s():
    """After a first update of a batch: rho is taken to the student at plan time, the drift before that is a weight."""
    probe = make_probe(rollouts_of([[4], [6], [3], [5], [7], [6]]), drift=1.5)
    table, cap = probe.table, 1.2
    moved = probe.weight.detach() + 0.4 * torch.randn(
        probe.weight.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64
    )
    probe.weight = moved.requires_grad_()
    reference = table["reference_logprob"]
    advantage = table["teacher_logprob"] - table["student_logprob"]
    advantage = advantage + 0.25 * (table["teacher_logprob"] - reference)
    correction = (table["student_logprob"] - table["behaviour_logprob"]).exp().clamp(max=cap)
    advantage = advantage * correction
    rho = (probe.at_token(probe.live.detach()) - table["student_logprob"]).exp()
    flat = ((advantage > 0) & (rho > 1.2)) | ((advantage < 0) & ((rho < 0.8) | (rho > 2.0)))
    assert flat.any() and ((advantage < 0) & (rho > 2.0)).any() and (correction == cap).any()

    def loss(live):
        ratio = (probe.at_token(live) - table["student_logprob"]).exp()
        return -(~flat * ratio * advantage).sum() / table.num_tokens

    (found,) = check_on_ranks(objective_of(GOPD(dual_clip=2.0, sampler_ratio_cap=cap)), probe)
    assert distance(found, probe.claimed(loss)) < 1e-12


def test_the_reference_may_call_a_token_impossible():
    chain = chain_with_reference(7)
    table = chain.filled(chain.batch(Origin.STUDENT))
    none = torch.full((table.num_tokens,), -torch.inf, dtype=torch.float64)
    table = table.with_tokens(reference_logprob=none)
    (plan,) = objective_of(GOPD()).plan(table, PlanContext())
    step = table["teacher_logprob"] + 100
    expected = table["teacher_logprob"] - table["student_logprob"] + 0.25 * step
    assert torch.allclose(plan.terms[0].row_loss.advantage[:, 0], expected, atol=1e-12)


def test_lambda_is_spelt_as_in_the_paper_and_by_its_python_name():
    assert GOPD.model_validate({"lambda": 1.1}) == GOPD(lambda_=1.1)
    assert GOPD(lambda_=1.1).model_dump(mode="json")["lambda"] == 1.1
