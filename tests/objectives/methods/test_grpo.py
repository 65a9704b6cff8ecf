"""grpo: what a group of two follows in expectation, for each of its advantages, and its ratios off policy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.objectives.groups import Groups, expected_group_gradient, make_rewards
from tests.objectives.oracle import Chain, expected_gradient, gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.grpo import GRPO
from understudy.rollouts import Origin


def groups_of(seed: int = 0) -> Groups:
    chain = make_chain(seed)
    return Groups(chain, make_rewards(chain, seed))


@pytest.mark.parametrize(("advantage", "factor"), [("leave_one_out", 2), ("centred", 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_unscaled_advantages_follow_the_expected_reward(advantage, factor, seed):
    groups = groups_of(seed)
    objective = objective_of(GRPO(advantage=advantage, reduction="token_sum"))
    found = expected_group_gradient(objective, groups)
    claim = gradient_of(lambda logits: -factor * groups.expected_reward(logits), groups.chain)
    assert (found - claim).abs().max() < 1e-9
    assert (found + claim).abs().max() > 1e-3  # a flipped sign would be noticed


def test_std_in_groups_of_two_follows_the_chance_to_win():
    groups = groups_of()
    ours, theirs = groups.rewards[:, None], groups.rewards[None, :]
    half = (ours - theirs) / 2
    score = half / (half.abs() * 2**0.5 + 1e-6)

    def claim(logits: Tensor) -> Tensor:
        each = groups.chain.sequence_logprob(logits).exp()
        return -2 * (each[:, None] * each.detach()[None, :] * score).sum()

    found = expected_group_gradient(objective_of(GRPO(reduction="token_sum")), groups)
    assert (found - gradient_of(claim, groups.chain)).abs().max() < 1e-9
    assert abs(float(score[2, 3].abs()) - 2**-0.5) < 1e-4 and score[0, 1] == 0


def reference_forward_kl(chain: Chain, *, beta: float):
    reach, reference = chain.reach(chain.logits).detach(), chain.reference.log_softmax(1)

    def claim(logits: Tensor) -> Tensor:
        live = logits.log_softmax(1)
        return beta * (reach * (reference.exp() * (reference - live)).sum(1)).sum()

    return claim


def test_the_k3_term_follows_the_forward_divergence_from_the_reference():
    chain = make_chain(0)
    chain.reference = torch.randn(chain.logits.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    objective = objective_of(GRPO(beta=0.3, reduction="token_sum"))
    probability = chain.sequence_logprob(chain.logits).exp()
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)  # groups of one
    assert (found - gradient_of(reference_forward_kl(chain, beta=0.3), chain)).abs().max() < 1e-9


def test_the_reference_is_needed_only_where_it_weighs_something():
    assert objective_of(GRPO()).needs.scorers() == frozenset()
    assert objective_of(GRPO(beta=0.1)).needs.scorers() == {"reference"}


LENGTHS = [[4], [6], [3], [5], [7], [2], [6], [4]]

SURROGATES = {
    "none": lambda rho, a, l: a * l,
    "importance": lambda rho, a, l: a * rho,
    "ppo": lambda rho, a, l: torch.minimum(rho * a, rho.clamp(0.8, 1.28) * a),
    "dual_clip": lambda rho, a, l: torch.where(
        a < 0,
        torch.maximum(torch.minimum(rho * a, rho.clamp(0.8, 1.28) * a), 1.5 * a),
        torch.minimum(rho * a, rho.clamp(0.8, 1.28) * a),
    ),
    "cispo": lambda rho, a, l: rho.detach().clamp(max=1.28) * a * l,
    "icepop": lambda rho, a, l: torch.where((rho >= 0.9) & (rho <= 1.4), rho, 0.0) * a,
}


@pytest.mark.parametrize("ratio", list(SURROGATES))
def test_every_ratio_off_policy_against_its_written_surrogate(ratio):
    probe = make_probe(rollouts_of(LENGTHS), drift=0.6)
    config = GRPO(ratio=ratio, advantage="centred", epsilon_high=0.28, delta=1.5, icepop_low=0.9, icepop_high=1.4)
    table = probe.table
    rewards = table.rollouts["reward"].double().reshape(4, 2)
    advantage = (rewards - rewards.mean(1, keepdim=True)).reshape(-1)[table["rollout"]]
    lengths = torch.bincount(table["rollout"])[table["rollout"]]

    def loss(live: Tensor) -> Tensor:
        l = probe.at_token(live)
        rho = (l - table["behaviour_logprob"]).exp()
        return -(SURROGATES[ratio](rho, advantage, l) / lengths).sum() / 8

    rho = (probe.at_token(probe.live) - table["behaviour_logprob"]).exp()
    assert (rho > 1.5).any() and (rho < 0.8).any()
    (found,) = check_on_ranks(objective_of(config), probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-9


def test_groups_of_equal_rewards_give_exactly_zero():
    """0.1 is no binary fraction: the mean of three is not 0.1 in float32."""
    rollouts = rollouts_of([[4], [6], [3], [5], [7], [2]], per_group=3)
    for rollout in rollouts:
        object.__setattr__(rollout, "reward", 0.1)
    probe = make_probe(rollouts)
    for advantage in ("std", "centred", "leave_one_out"):
        (found,) = check_on_ranks(objective_of(GRPO(advantage=advantage)), probe)
        assert torch.equal(found, torch.zeros_like(found))
