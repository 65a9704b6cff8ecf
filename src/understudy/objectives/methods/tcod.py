"""Temporal-curriculum on-policy distillation: ever longer parts of an episode."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import Reduction, ReductionName, divided_by, reduction_named
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.objectives.writing import ExpertReplay, TurnWindow, Writing


class TCOD(MethodConfig):
    """Temporal-curriculum on-policy distillation for agents.

    Args:
        curriculum: ``f2b`` (front to back) ends episodes after the first turns, ``b2f`` (back to front) replays an
            expert's first turns and lets the student play the rest.
        steps_per_turn: training steps until the student plays one turn more; null takes the paper's, 6 for ``f2b`` and
            5 for ``b2f``.
        max_turns: turns of ``f2b`` at most.
        coefficient: scale of the advantage.
        reduction: the paper's, against a collapse of length; denominators count the student's tokens only.
    """

    method: Literal["tcod"] = "tcod"
    curriculum: Literal["f2b", "b2f"] = "f2b"
    steps_per_turn: int | None = Field(default=None, ge=1)
    max_turns: int = Field(default=30, ge=1)
    coefficient: float = Field(default=1.0, gt=0)
    reduction: ReductionName = "sequence_mean_token_mean"

    def reduce(self) -> Reduction:
        """The reduction over the student's own tokens: replayed turns do not dilute them."""
        return divided_by(reduction_named(self.reduction, denominator="gated"), self.reduction_constant)

    def writing(self) -> Writing:
        """How far the student plays at each step."""
        pace = self.steps_per_turn or (6 if self.curriculum == "f2b" else 5)
        if self.curriculum == "b2f":
            return Writing(turns=ExpertReplay(lambda step: 1 + step // pace))
        return Writing(turns=TurnWindow(lambda step: min(1 + step // pace, self.max_turns)))


def tcod(config: TCOD) -> Objective:
    """A_t = coefficient (log pi_T - log pi_S) on the student's turns, of which there are more and more.

    ``f2b``: episodes end after 1 + floor(step / steps_per_turn) turns. ``b2f``: an expert's turns are replayed up to
    the last 1 + floor(step / steps_per_turn), then the student plays. Under ``token_sum`` the expected gradient is
    that of KL(S||T) at each state the student visits; replayed turns have none.

    Source: TCOD, arXiv:2604.24005.
    """
    policy = policy_gradient(signal=teacher_log_ratio(), coefficient=config.coefficient)
    return config.objective({"policy": policy}, writing=config.writing())
