"""minillm: returns to go of the sequence's reverse KL, one exact step, and the data's likelihood."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import at_visited_states, difference, on_own_text, reverse_kl, self_taught
from tests.objectives.methods.test_opd import sequence_reverse_kl
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.minillm import MiniLLM
from understudy.rollouts import Origin

PLAIN = {"length_norm": False, "whiten": False, "reward_scale": 1.0, "reduction": "token_sum"}


def test_without_norms_the_expected_gradient_is_two_reverse_kls():
    chain = make_chain(0)
    claim = gradient_of(sequence_reverse_kl(chain), chain) + at_visited_states(reverse_kl, chain)
    assert difference(on_own_text(MiniLLM(**PLAIN), chain), claim) < 1e-9
    assert difference(on_own_text(MiniLLM(**PLAIN), chain), -claim) > 1e-3
    alone = on_own_text(MiniLLM(one_step_coefficient=0, **PLAIN), chain)
    assert difference(alone, gradient_of(sequence_reverse_kl(chain), chain)) < 1e-9


def rewards_of(chain, sequence, *, scale, clip):
    student, teacher = chain.logits.detach().log_softmax(1), chain.teacher.log_softmax(1)
    rows = [chain.row_of(sequence[:t]) for t in range(len(sequence))]
    ratio = teacher[rows, list(sequence)] - student[rows, list(sequence)]
    return rows, (ratio / scale).clamp(-clip, clip)


def returns_of(chain, *, gamma, scale, clip, length_norm):
    """Return of every token of every sequence, by explicit double sums."""
    found = []
    for sequence in chain.sequences:
        _, reward = rewards_of(chain, sequence, scale=scale, clip=clip)
        for t in range(len(sequence)):
            later = sum(gamma ** (k - t) * float(reward[k]) for k in range(t, len(sequence)))
            found.append(later / (len(sequence) - t if length_norm else 1))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_expected_gradient_with_norms_is_that_of_the_written_out_advantage(whiten, gamma):
    chain = make_chain(1)
    advantage = returns_of(chain, gamma=gamma, scale=0.5, clip=1.5, length_norm=True)
    if whiten:
        advantage = (advantage - advantage.mean()) / (advantage.var(unbiased=False) + 1e-8).sqrt()
    config = MiniLLM(discount=gamma, whiten=whiten, reward_clip=1.5, one_step_coefficient=0.25, reduction="token_sum")
    probability = chain.sequence_logprob(chain.logits).exp().detach()
    weight = probability.repeat_interleave(torch.tensor([len(s) for s in chain.sequences]))
    tokens = torch.tensor([token for s in chain.sequences for token in s])

    def policy(logits):
        return -(weight * advantage * logits.log_softmax(1)[chain.state_rows(), tokens]).sum()

    claim = gradient_of(policy, chain) + 0.25 * at_visited_states(reverse_kl, chain)
    assert difference(on_own_text(config, chain), claim) < 1e-9


def test_data_text_gets_its_likelihood_alone():
    chain = make_chain(2)
    data = torch.rand(len(chain.sequences), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    config = MiniLLM(reduction="token_sum")
    found = expected_gradient(objective_of(config), chain, origin=Origin.DATA, probability=data)
    claim = gradient_of(lambda logits: -0.5 * (data * chain.sequence_logprob(logits)).sum(), chain)
    assert difference(found, claim) < 1e-9
    mix = objective_of(MiniLLM(data_share=0.2)).mix
    assert (mix.student, mix.data) == (0.8, 0.2)
    assert "lm" not in objective_of(MiniLLM(data_share=0.0)).terms


@pytest.mark.parametrize("norms", [PLAIN, {"reduction": "token_sum"}])
def test_teacher_equal_to_student_gives_zero(norms):
    found = on_own_text(MiniLLM(**norms), self_taught(make_chain(3)))
    assert found.abs().max() < 1e-12
    policy = on_own_text(MiniLLM(one_step_coefficient=0, **norms), self_taught(make_chain(3)))
    assert torch.equal(policy, torch.zeros_like(policy))


def test_whitening_is_over_all_ranks_and_over_the_student_s_tokens():
    rollouts = rollouts_of([[4], [6], [3], [5], [7], [2]])
    rollouts[2].turns[0].origin[:] = Origin.DATA
    probe = make_probe(rollouts)
    (plan,) = objective_of(MiniLLM()).plan(probe.table, PlanContext())
    advantage = plan.terms[0].row_loss.advantage
    assert plan.terms[0].rows.numel() == probe.table.num_tokens - 3
    assert abs(float(advantage.mean())) < 1e-12 and float(advantage.var(unbiased=False)) == pytest.approx(1)
    check_on_ranks(objective_of(MiniLLM()), probe)
