"""Generalised knowledge distillation: full-vocabulary divergences on a mix of student and data text."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.supports import OnVocabulary
from understudy.objectives.terms import divergence
from understudy.objectives.writing import RolloutMix, Writing
from understudy.plans import Divergence


class GKD(MethodConfig):
    """Generalised knowledge distillation.

    Args:
        beta: 0 is forward KL(T||S), 1 is reverse KL(S||T), between them the generalised Jensen-Shannon divergence. The
            paper compares several; 0.5 is TRL's.
        lmbda: share of prompts that the student completes itself; the rest take the data's completion. The paper
            compares several; 0.5 is TRL's.
    """

    progress: ClassVar[Progress] = "jsd"
    method: Literal["gkd"] = "gkd"
    beta: float = Field(default=0.5, ge=0, le=1)
    lmbda: float = Field(default=0.5, ge=0, le=1)


def gkd(config: GKD) -> Objective:
    """D = beta KL(T||m) + (1-beta) KL(S||m), m = beta T + (1-beta) S, over the vocabulary at every response token.

    No gradient flows through sampling; beta 0 and 1 are the forward and the reverse divergence themselves.

    Source: Agarwal et al., arXiv:2306.13649, eq. 1 and algorithm 1.
    """
    return config.objective(
        {"divergence": divergence(Divergence("jsd", beta=config.beta), support=OnVocabulary("teacher"))},
        writing=Writing(RolloutMix(student=config.lmbda, data=1 - config.lmbda)),
    )
