"""power_opd: powers of probabilities, and powers of their ratio, each against its claim."""

from __future__ import annotations

import math

import pytest
import torch

from tests.objectives.claims import at_visited_states, distance, on_policy, pulled_by, reverse_kl
from tests.objectives.oracle import make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.power_opd import PowerOPD
from understudy.objectives.shapes import power
from understudy.rollouts import Origin


def config(**fields) -> PowerOPD:
    return PowerOPD(reduction="token_sum", **fields)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_the_policy_gradient_of_the_difference_of_powers(exponent, seed):
    chain = make_chain(seed)
    reward = (chain.teacher.softmax(1) ** exponent - chain.logits.detach().softmax(1) ** exponent) / exponent
    found = on_policy(config(exponent=exponent), chain)
    assert distance(found, at_visited_states(chain, pulled_by(reward, chain))) < 1e-9
    assert distance(found, at_visited_states(chain, pulled_by(-reward, chain))) > 1e-3


@pytest.mark.parametrize("exponent", [0.2, 0.5, 0.9])
def test_of_the_ratio_it_is_an_alpha_divergence(exponent):
    chain = make_chain(2)
    teacher = chain.teacher.log_softmax(1)

    def divergence(live):
        overlap = ((1 - exponent) * live + exponent * teacher).exp().sum(1)
        return (1 - overlap) / (exponent * (1 - exponent))

    found = on_policy(config(of="ratio", exponent=exponent), chain)
    assert distance(found, at_visited_states(chain, divergence)) < 1e-9
    assert distance(found, at_visited_states(chain, lambda live: -divergence(live))) > 1e-3


def test_half_a_power_of_the_ratio_is_four_squared_hellinger_distances():
    chain = make_chain(3)
    root = chain.teacher.softmax(1).sqrt()
    hellinger = at_visited_states(chain, lambda live: 4 * ((live / 2).exp() - root).square().sum(1) / 2)
    assert distance(on_policy(config(of="ratio"), chain), hellinger) < 1e-9  # 0.5 is the default


def test_at_one_the_ratio_follows_forward_kl():
    chain = make_chain(4)
    teacher = chain.teacher.log_softmax(1)
    claim = at_visited_states(chain, lambda live: (teacher.exp() * (teacher - live)).sum(1))
    assert distance(on_policy(config(of="ratio", exponent=1.0), chain), claim) < 1e-9


@pytest.mark.parametrize("of", ["probabilities", "ratio"])
def test_towards_zero_it_is_opd(of):
    chain = make_chain(5)
    claim = at_visited_states(chain, reverse_kl(chain))
    near = [distance(on_policy(config(of=of, exponent=e), chain), claim) for e in (1e-2, 1e-4, 1e-6)]
    assert near[0] < 0.1 and near[1] < near[0] / 50 and near[2] < 1e-5


@pytest.mark.parametrize("of", ["probabilities", "ratio"])
def test_teacher_equal_to_student_gives_exactly_zero(of):
    chain = make_chain(6)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    found = on_policy(config(of=of), chain)
    assert torch.equal(found, torch.zeros_like(found))


def advantages(settings, teacher, student, dtype=torch.float64):
    chain = make_chain(7)
    table = chain.filled(chain.batch(Origin.STUDENT))
    columns = {"teacher_logprob": teacher, "student_logprob": student}
    table = table.with_tokens(**{n: torch.full((table.num_tokens,), v, dtype=dtype) for n, v in columns.items()})
    (plan,) = objective_of(settings).plan(table, PlanContext())
    return plan.terms[0].row_loss.advantage[0, 0].item()


def test_bounds_by_hand():
    assert power(0.5)(torch.tensor([math.log(4.0), 0.0, -300.0])).tolist() == pytest.approx([2.0, 0.0, -2.0])
    # The teacher calls the token impossible: -1/a for the ratio, -S^a / a for the probabilities.
    assert advantages(config(of="ratio"), -math.inf, -0.1) == pytest.approx(-2.0)
    assert advantages(config(), -math.inf, math.log(0.8)) == pytest.approx(-(0.8**5) / 5)
    # The student calls it all but impossible: without bound for the ratio, within 1/a for the probabilities.
    assert advantages(config(of="ratio"), -0.1, -60.0) > 1e12
    assert advantages(config(), 0.0, -60.0) == pytest.approx(1 / 5)
    assert advantages(OPD(), 0.0, -60.0) == 60.0
    assert advantages(config(), -0.01, -60.0, torch.float32) == pytest.approx(math.exp(-0.05) / 5)
