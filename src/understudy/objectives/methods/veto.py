"""Veto: distillation towards the product of teacher and student, which fades into the teacher alone."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.schedules import linear
from understudy.objectives.supports import OnVocabulary
from understudy.objectives.targets import product_log_ratio
from understudy.objectives.terms import divergence, policy_gradient
from understudy.plans import Divergence


class Veto(MethodConfig):
    """Target reformulation with the student's own power.

    Args:
        beta: the student's exponent in the target at step 0; it falls linearly to 0 at the last step. The source has
            0.8 for reasoning, 1.0 for code, 0.3 for summaries.
        direction: ``reverse`` is a policy gradient on sampled tokens, ``forward`` a divergence over the vocabulary;
            which one is the default is our choice, and so is that the forward target is a constant.
    """

    method: Literal["veto"] = "veto"
    beta: float = Field(default=0.8, ge=0, le=1)
    direction: Literal["reverse", "forward"] = "reverse"

    def tied_to_steps(self) -> tuple[str, ...]:
        """The exponent falls until the last step."""
        return ("beta",) if self.beta else ()


def veto(config: Veto) -> Objective:
    """Distillation to q ~ T * S^beta with beta falling to 0: reverse A_t = log T - (1-beta) log S, forward KL(q||S).

    ``reverse``: in expectation the gradient of KL(S||q) at each visited state, q held fixed; its unknown log Z is a
    baseline and changes nothing (identity 13 of docs/methods/identities.md). ``forward``: the gradient of KL(q||S)
    with q normalised and held fixed, q - S in logits with the sign turned. Teacher = student gives zero only with
    beta 0: before, q is sharper than both.
    A beta frozen below 1 would end at T^(1/(1-beta)), so its fall to 0 matters.

    Source: Veto, arXiv:2601.07155.
    """
    power = linear(config.beta, 0.0)
    if config.direction == "reverse":
        return config.objective({"policy": policy_gradient(signal=product_log_ratio(power))})
    forward = divergence(Divergence("forward"), support=OnVocabulary(), gate=student_tokens, student_power=power)
    return config.objective({"forward_kl": forward})
