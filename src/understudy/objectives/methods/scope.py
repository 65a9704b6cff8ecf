"""SCOPE: solved rollouts are reinforced, unsolved ones distilled, each by a perplexity that says what it is worth."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import solved, student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import ReductionName
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import likelihood, policy_gradient
from understudy.objectives.weights import perplexity_in_group


class SCOPE(MethodConfig):
    """Signal-calibrated on-policy distillation with two paths.

    Args:
        tau: temperature of the weights, perplexity^(1/tau) of the student and perplexity^(-1/tau) of the teacher.
        reduction: our choice; with it the loss is the printed sum over a group, averaged over groups.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["scope"] = "scope"
    tau: float = Field(default=1.0, gt=0)
    reduction: ReductionName = "sequence_mean_token_mean"


def scope(config: SCOPE) -> Objective:
    """Solved rollouts: w^S NLL, w^S ~ student perplexity^(1/tau); others: w^T OPD, w^T ~ teacher perplexity^(-1/tau).

    Weights sum to 1 over each path of a group and are constants. The gradient is that of
    E[sum over solved rollouts of -w^S mean_t log pi_S - sum over the others of w^T mean_t A_t log pi_S(y_t)],
    A_t = log pi_T - log pi_S. A rollout that nothing decided counts as unsolved, our choice. A teacher that equals the
    student leaves the likelihood alone.

    Source: SCOPE, arXiv:2604.10688.
    """
    correct, wrong = student_tokens & solved, student_tokens & ~solved
    return config.objective(
        {
            "solved": likelihood(
                gate=correct, weight=perplexity_in_group("student", power=1 / config.tau, among=correct)
            ),
            "unsolved": policy_gradient(
                signal=teacher_log_ratio(),
                gate=wrong,
                weight=perplexity_in_group("teacher", power=-1 / config.tau, among=wrong),
            ),
        }
    )
