"""On-policy distillation with a power of the probabilities in place of their logarithm."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.shapes import power
from understudy.objectives.signals import power_difference, teacher_log_ratio
from understudy.objectives.terms import Term, policy_gradient


class PowerOPD(MethodConfig):
    """On-policy distillation with a bounded power of the probabilities as reward.

    Args:
        of: the power of the ``probabilities``, (T^a - S^a) / a, as the authors' published code has it, bounded on both
            sides; or of their ``ratio``, (u^a - 1) / a, as notes on the paper have it, bounded below only. The default
            is our choice between the two; so is the division by a, which only scales it.
        exponent: a; null takes 5 for probabilities, the authors', and 0.5 for the ratio.
    """

    method: Literal["power_opd"] = "power_opd"
    of: Literal["probabilities", "ratio"] = "probabilities"
    exponent: float | None = Field(default=None, gt=0, le=20)


def power_opd(config: PowerOPD) -> Objective:
    """A = (pi_T^a - pi_S^a) / a in place of log pi_T - log pi_S, its limit for a to 0: never beyond -1/a and 1/a.

    The expected gradient at every visited state is the policy gradient of that reward, zero only where T = S. With
    ``of: ratio``, A = (u^a - 1) / a, u = pi_T / pi_S, it is that of the divergence
    (1 - sum_v S_v^(1-a) T_v^a) / (a (1 - a)): for a = 1/2 four times the squared Hellinger distance, for a to 0 the
    reverse and for a to 1 the forward KL.

    Source: PowerOPD, arXiv:2606.17199 and its published code.
    """
    return config.objective({"policy": _policy(config)})


def _policy(config: PowerOPD) -> Term:
    if config.of == "probabilities":
        return policy_gradient(signal=power_difference(config.exponent or 5.0))
    return policy_gradient(signal=teacher_log_ratio(), shape=power(config.exponent or 0.5))
