"""Supervised fine-tuning on the data's own completions."""

from __future__ import annotations

from typing import Literal

from understudy.objectives.gates import data_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective, RolloutMix
from understudy.objectives.terms import likelihood


class SFT(MethodConfig):
    """Negative log-likelihood of the data's completions, the stop token included."""

    method: Literal["sft"] = "sft"


def sft(config: SFT) -> Objective:
    """Negative log-likelihood of the data's completions: L = -mean log pi_S(y_t | s_t), y from the data.

    Source: maximum likelihood; the baseline of every distillation paper.
    """
    return Objective(
        terms={"nll": likelihood(gate=data_tokens)},
        mix=RolloutMix(student=0.0, data=1.0),
        reduction=config.reduce(),
        num_updates=config.num_updates,
    )
