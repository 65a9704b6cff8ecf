"""Sequence-level knowledge distillation: supervised training on the teacher's own samples."""

from __future__ import annotations

from typing import ClassVar, Literal

from understudy.objectives.gates import teacher_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.terms import likelihood
from understudy.objectives.writing import RolloutMix, Writing


class SeqKD(MethodConfig):
    """Negative log-likelihood of completions that the teacher samples afresh for each prompt."""

    progress: ClassVar[Progress] = "teacher_text_nll"
    method: Literal["seq_kd"] = "seq_kd"


def seq_kd(config: SeqKD) -> Objective:
    """Negative log-likelihood of the teacher's samples: in expectation KL(T||S) over whole sequences, up to a constant.

    Source: Kim and Rush, arXiv:1606.07947, section 3.2 (samples instead of the beam's best, our choice).
    """
    return config.objective(
        {"nll": likelihood(gate=teacher_tokens)}, writing=Writing(RolloutMix(student=0.0, teacher=1.0))
    )
