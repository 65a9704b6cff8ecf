"""Sequence-level knowledge distillation: supervised training on the teacher's own samples."""

from __future__ import annotations

from typing import Literal

from understudy.objectives.gates import teacher_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective, RolloutMix
from understudy.objectives.terms import likelihood


class SeqKD(MethodConfig):
    """Negative log-likelihood of completions that the teacher samples afresh for each prompt."""

    method: Literal["seq_kd"] = "seq_kd"


def seq_kd(config: SeqKD) -> Objective:
    """Negative log-likelihood of the teacher's samples: in expectation KL(T||S) over whole sequences, up to a constant.

    Source: Kim and Rush, arXiv:1606.07947, section 3.2 (samples instead of the beam's best, our choice).
    """
    return Objective(
        terms={"nll": likelihood(gate=teacher_tokens)},
        mix=RolloutMix(student=0.0, teacher=1.0),
        reduction=config.reduce(),
        num_updates=config.num_updates,
    )
