"""kdrl: GRPO and the direct reverse KL, on all rollouts or on those that failed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.objectives.groups import Groups, expected_group_gradient, make_rewards, policy_gradient_claim, standardised
from tests.objectives.methods.test_opd import per_state_reverse_kl
from tests.objectives.oracle import gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.kdrl import KDRL

CONTEXT = PlanContext(step=2, total_steps=9)  # half-way through four steps: (0.5 + 0.1) / 2


def grpo_part(groups: Groups) -> Tensor:
    sequences = groups.chain.sequences
    return policy_gradient_claim(groups, lambda i, j: [standardised(groups, i, j)] * len(sequences[i]))


def per_state_forward_kl(chain):
    reach, teacher = chain.reach(chain.logits).detach(), chain.teacher.log_softmax(1)
    return lambda logits: (reach * (teacher.exp() * (teacher - logits.log_softmax(1))).sum(1)).sum()


@pytest.mark.parametrize(("estimator", "divergence"), [("square", per_state_reverse_kl), ("k3", per_state_forward_kl)])
def test_expected_gradient_is_the_claimed_one(estimator, divergence):
    chain = make_chain(0)
    groups = Groups(chain, make_rewards(chain))
    config = KDRL(beta=0.5, beta_min=0.1, beta_anneal_steps=4, estimator=estimator, reduction="token_sum")
    found = expected_group_gradient(objective_of(config), groups, context=CONTEXT)
    distillation = 2 * 0.3 * gradient_of(divergence(chain), chain)
    assert (found - (grpo_part(groups) + distillation)).abs().max() < 1e-9
    assert (found - (grpo_part(groups) - distillation)).abs().max() > 1e-3


def test_the_mask_distils_on_failed_rollouts_only():
    """Their expected gradient: that of E[1[failed] sum_t (log S - log T)^2 / 2], the expectation frozen."""
    chain = make_chain(1)
    groups = Groups(chain, make_rewards(chain))
    config = KDRL(beta=0.5, beta_min=0.5, mask="correct", reduction="token_sum")
    each, teacher = chain.sequence_logprob(chain.logits).exp().detach(), chain.teacher.log_softmax(1)

    def claim(logits: Tensor) -> Tensor:
        live = logits.log_softmax(1)
        total = live.new_zeros(())
        for number, sequence in enumerate(chain.sequences):
            if groups.rewards[number] <= 0.5:
                rows = [chain.row_of(sequence[:t]) for t in range(len(sequence))]
                gap = (live - teacher)[rows, list(sequence)]
                total = total + each[number] * (gap.square() / 2).sum()
        return 2 * 0.5 * total

    found = expected_group_gradient(objective_of(config), groups)
    assert 2 < sum(groups.rewards > 0.5) < 13
    assert (found - (grpo_part(groups) + gradient_of(claim, chain))).abs().max() < 1e-9


def test_a_teacher_that_equals_the_student_up_to_rounding_leaves_grpo_alone():
    chain = make_chain(3)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    groups = Groups(chain, make_rewards(chain))
    objective = objective_of(KDRL(beta=100.0, beta_min=100.0, reduction="token_sum"))
    assert (expected_group_gradient(objective, groups) - grpo_part(groups)).abs().max() < 1e-9
    (plan,) = objective.plan(groups.table(), PlanContext())
    assert plan.terms[1].name == "distillation" and plan.terms[1].rows.numel() == 0


def test_the_weight_falls_from_the_papers_first_to_its_last():
    probe = make_probe(rollouts_of([[2], [3]]))
    for step, beta in ((0, 5e-3), (5, 3e-3), (10, 1e-3)):
        (plan,) = objective_of(KDRL(reduction="token_sum")).plan(probe.table, PlanContext(step, 11))
        assert plan.terms[1].weights.tolist() == pytest.approx([beta] * 5, rel=1e-12)


def test_two_ranks_plan_what_one_does():
    probe = make_probe(rollouts_of([[3, 5], [4], [2, 2], []]), drift=0.5)
    (found,) = check_on_ranks(objective_of(KDRL(mask="correct")), probe)
    assert found.abs().max() > 1e-3
