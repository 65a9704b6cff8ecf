"""mopd: each domain's reverse KL and reward, on the tokens where trainer and sampler agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.groups import Groups, expected_group_gradient, make_rewards, policy_gradient_claim, standardised
from tests.objectives.methods.test_opd import per_state_reverse_kl
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.mopd import MOPD
from understudy.rollouts import Origin


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_expected_gradient_is_the_claimed_one(alpha):
    chain = make_chain(0)
    groups = Groups(chain, make_rewards(chain))
    found = expected_group_gradient(objective_of(MOPD(alpha=alpha, reduction="token_sum")), groups)
    distillation = 2 * gradient_of(per_state_reverse_kl(chain), chain)
    sequences = chain.sequences
    reward = policy_gradient_claim(groups, lambda i, j: [standardised(groups, i, j)] * len(sequences[i]))
    assert (found - (distillation + alpha * reward)).abs().max() < 1e-9
    assert (found - (distillation - (alpha or 1.0) * reward)).abs().max() > 1e-3
    assert (found + distillation - alpha * reward).abs().max() > 1e-3


def test_teacher_equal_to_student_gives_exactly_zero_where_no_reward_differs():
    chain = make_chain(3)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    objective = objective_of(MOPD(reduction="token_sum"))
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=torch.ones(len(chain.sequences)))
    assert torch.equal(found, torch.zeros_like(found))


def test_tokens_on_which_trainer_and_sampler_differ_are_dropped_and_domains_have_their_weights():
    rollouts = [
        replace(r, domain="code" if r.group == 1 else "maths") for r in rollouts_of([[6], [5], [7], [4], [6], []])
    ]
    probe = make_probe(rollouts, drift=1.2)
    table = probe.table
    rewards = table.rollouts["reward"].nan_to_num(nan=0.0).double().reshape(3, 2)
    reward = (rewards - rewards.mean(1, keepdim=True)).reshape(-1)[table["rollout"]]
    signal = table["teacher_logprob"] - table["student_logprob"] + 0.5 * reward
    factor = torch.tensor([1, 1, 3, 3, 1, 1])[table["rollout"]]
    ratio = (table["student_logprob"] - table["behaviour_logprob"]).exp()
    kept = (ratio >= 0.5) & (ratio <= 5.0)
    assert 3 < kept.sum() < table.num_tokens - 3

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        return -(factor * kept * rho * signal).sum() / table.num_tokens

    config = MOPD(alpha=0.5, advantage="centred", domain_weights={"code": 3.0})
    (found,) = check_on_ranks(objective_of(config), probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-9


def test_without_reward_none_is_needed():
    assert objective_of(MOPD()).needs.graded == {"reward"} and not objective_of(MOPD(alpha=0)).needs.graded
