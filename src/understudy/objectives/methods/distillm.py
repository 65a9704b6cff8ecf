"""DistiLLM: skewed divergences, which stay bounded where one side has no mass, on a mix of student and other text."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.supports import OnVocabulary
from understudy.objectives.terms import Term, divergence
from understudy.objectives.writing import RolloutMix, Writing
from understudy.plans import Divergence


class DistiLLM(MethodConfig):
    """Skewed KL divergences over the vocabulary.

    The source's adaptive off-policy scheme (a buffer of 1,000 student outputs, drawn from more often when the
    validation loss stagnates) is not built: here the share of text that the student did not write is constant, and
    the student's completions are always fresh.

    Args:
        kind: ``skl`` KL(T || alpha T + (1-alpha) S), ``srkl`` KL(S || (1-alpha) T + alpha S), ``contrastive`` (from
            DistiLLM-2) srkl on the student's own text and skl on the other text. Which one is the default is our
            choice: the source finds both good.
        alpha: how much of one side is mixed into the other.
        off_policy_share: share of prompts whose completion the student does not write; constant, our choice.
        off_policy_text: who writes those: the ``data`` (DistiLLM) or the ``teacher`` (DistiLLM-2).
    """

    progress: ClassVar[Progress] = "reverse_kl"
    method: Literal["distillm"] = "distillm"
    kind: Literal["skl", "srkl", "contrastive"] = "srkl"
    alpha: float = Field(default=0.1, ge=0, lt=1)
    off_policy_share: float = Field(default=0.5, ge=0, le=1)
    off_policy_text: Literal["data", "teacher"] = "data"


def distillm(config: DistiLLM) -> Objective:
    """Skewed KL over the vocabulary: SKL = KL(T || a T + (1-a) S), SRKL = KL(S || (1-a) T + a S).

    The gradient is that of the named divergence at every response token, through S inside the mixture as well; alpha 0
    gives KL(T||S) and KL(S||T). No gradient flows through sampling.

    Source: DistiLLM, arXiv:2402.03898, eq. 3 to 5; ``contrastive``: DistiLLM-2, arXiv:2503.07067 (its curriculum of
    alpha is not built).
    """
    share = config.off_policy_share
    by_data = config.off_policy_text == "data"
    mix = RolloutMix(student=1 - share, data=share if by_data else 0.0, teacher=0.0 if by_data else share)
    return config.objective(_terms(config), writing=Writing(mix))


def _terms(config: DistiLLM) -> dict[str, Term]:
    forward = Divergence("skew_forward", alpha=config.alpha)
    reverse = Divergence("skew_reverse", alpha=config.alpha)
    if config.kind == "contrastive":
        return {
            "srkl": divergence(reverse, support=OnVocabulary(), gate=student_tokens),
            "skl": divergence(forward, support=OnVocabulary(), gate=~student_tokens),
        }
    return {config.kind: divergence(forward if config.kind == "skl" else reverse, support=OnVocabulary())}
