"""Extrapolated on-policy distillation: G-OPD beyond the teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.gopd import ExtrapolationConfig
from understudy.objectives.objective import Objective


class ExOPD(ExtrapolationConfig):
    """Extrapolated on-policy distillation: G-OPD held to lambda above 1, so that a reference always takes part."""

    method: Literal["exopd"] = "exopd"
    lambda_: float = Field(default=1.25, gt=1, alias="lambda")


def exopd(config: ExOPD) -> Objective:
    """A = (log pi_T - log pi_S) + (lambda - 1)(log pi_T - log pi_R) with lambda > 1: past the teacher.

    It is ``gopd`` with the lambdas that only interpolate refused, so that its name in a recipe says what it does. The
    expected gradient at every visited state is that of KL(S||q), q in proportion to T^lambda R^(1 - lambda).

    Source: G-OPD, arXiv:2602.12125 (there "ExOPD"). The cap on lambda: arXiv:2605.08737.
    """
    return config.extrapolated()
