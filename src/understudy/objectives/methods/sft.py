"""Supervised fine-tuning on the data's own completions."""

from __future__ import annotations

from typing import ClassVar, Literal

from understudy.objectives.gates import data_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.terms import likelihood
from understudy.objectives.writing import RolloutMix, Writing


class SFT(MethodConfig):
    """Negative log-likelihood of the data's completions, the stop token included."""

    progress: ClassVar[Progress] = "data_nll"
    method: Literal["sft"] = "sft"


def sft(config: SFT) -> Objective:
    """Negative log-likelihood of the data's completions: L = -mean log pi_S(y_t | s_t), y from the data.

    Source: maximum likelihood; the baseline of every distillation paper.
    """
    return config.objective({"nll": likelihood(gate=data_tokens)}, writing=Writing(RolloutMix(student=0.0, data=1.0)))
