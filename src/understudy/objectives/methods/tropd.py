"""Trust-region on-policy distillation: the policy gradient where the teacher can be trusted, imitation elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from understudy.objectives.context import Slot
from understudy.objectives.gates import Gate, every_token, student_tokens, teacher_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.schedules import cosine
from understudy.objectives.shapes import floor
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import teacher_top_k
from understudy.objectives.terms import Term, divergence, likelihood, policy_gradient
from understudy.objectives.trust import distrust_probability, log_ratio_at_least, trust_probability, trust_region
from understudy.objectives.writing import TeacherPrefix, Writing
from understudy.plans import Divergence


class TrustRegionConfig(MethodConfig):
    """What decides whom to trust, and what becomes of the rest.

    The paper's variants: FKL Outlier is ``guidance: false``; Mask Outlier ``{region: static, outliers: mask, guidance:
    false}``; Clip Outlier ``{region: static, outliers: clip, guidance: false}``; TrOPD (FKL) is the default; TrOPD Mask
    and TrOPD Clip are Mask and Clip Outlier with guidance. That those two keep the static region is our choice.

    Args:
        region: a token is trusted by a draw of probability min(u, 1), u = pi_T / pi_S (``bernoulli``, the paper's);
            counts as trusted to that degree (``expected``, our own: the same expected gradient, less variance);
            or is trusted where log u >= tau (``static``).
        outliers: tokens that are not trusted give nothing (``mask``), the policy gradient with log u raised to tau
            (``clip``), or forward KL on the teacher's top_k tokens (``forward_kl``, the paper's).
        tau: nats, of the ``static`` region and of ``clip``; the paper names no value: -2.0 is our choice.
        top_k: the teacher's most likely tokens in ``forward_kl``, raw probabilities as printed; 64 is the paper's.
        guidance: rollouts begin with a teacher's words, at first up to the whole length, in the end none (a half
            cosine); the student learns them by their likelihood.
        guidance_weight: of that likelihood; .001 is the paper's.
        guidance_steps: steps after which no teacher's words are left; null is the last step, as in the paper.
        prefix_length: a prefix takes as many words as it may (``full``, the paper's) or a draw between none and that
            (``uniform``, our own).
    """

    region: Literal["bernoulli", "expected", "static"] = "bernoulli"
    outliers: Literal["mask", "clip", "forward_kl"] = "forward_kl"
    tau: float = Field(default=-2.0, le=0)
    top_k: int = Field(default=64, ge=1)
    guidance: bool = True
    guidance_weight: float = Field(default=0.001, gt=0)
    guidance_steps: int | None = Field(default=None, ge=1)
    prefix_length: Literal["full", "uniform"] = "full"

    def tied_to_steps(self) -> tuple[str, ...]:
        """The guidance falls until the last step, unless it has a length of its own."""
        return ("guidance_steps",) if self.guidance and self.guidance_steps is None else ()

    def writing(self) -> Writing:
        """The student writes, after a teacher's first words while there is guidance."""
        if not self.guidance:
            return Writing()
        share = cosine(1.0, 0.0, over_steps=self.guidance_steps)
        return Writing(prefix=TeacherPrefix(share=share, length=self.prefix_length))


class TrOPD(TrustRegionConfig):
    """Trust-region on-policy distillation."""

    method: Literal["tropd"] = "tropd"


def tropd(config: TrOPD) -> Objective:
    """Trusted with probability min(u, 1), u = pi_T / pi_S: then L = -log u log pi_S, else forward KL on K tokens.

    With guidance, rollouts begin with a teacher's words, which are learned with guidance_weight times their negative
    log-likelihood. Policy gradients have the importance ratio of ``opd``, the other terms none. One mean over all
    response tokens, the teacher's words included.

    The expected gradient at every state that the student reaches is that of
    -sum_v min(T_v, S_v) log(T_v / S_v) log S_v - TV(S, T) sum_k T_k log S_k, all but the last logarithms constants, k
    running over the teacher's top k and TV being the total variation, the share of tokens that are not trusted. No
    token is pushed down by more than 1/e in expectation. Where teacher and student agree, nothing is left.

    Source: TrOPD, arXiv:2606.01249.
    """
    return config.objective(trust_terms(config), writing=config.writing())


@dataclass(frozen=True)
class _Region:
    """Which tokens are trusted and which are not, and to what degree; None is fully."""

    trusted: Gate
    distrusted: Gate
    trust: Slot | None = None
    distrust: Slot | None = None


def trust_terms(config: TrustRegionConfig) -> dict[str, Term]:
    """The terms of the trusted tokens, of the others, and of the teacher's words."""
    region = _region(config)
    return {
        "trusted": policy_gradient(
            signal=teacher_log_ratio(), gate=student_tokens & region.trusted, weight=region.trust
        ),
        **_outlier_terms(config, gate=student_tokens & region.distrusted, weight=region.distrust),
        **_guidance_terms(config),
    }


def _region(config: TrustRegionConfig) -> _Region:
    if config.region == "expected":
        return _Region(every_token, every_token, trust=trust_probability(), distrust=distrust_probability())
    trusted = trust_region() if config.region == "bernoulli" else log_ratio_at_least(config.tau)
    return _Region(trusted, ~trusted)


def _outlier_terms(config: TrustRegionConfig, *, gate: Gate, weight: Slot | None) -> Mapping[str, Term]:
    if config.outliers == "mask":
        return {}
    if config.outliers == "clip":
        clipped = policy_gradient(signal=teacher_log_ratio(), shape=floor(config.tau), gate=gate, weight=weight)
        return {"outliers": clipped}
    support = teacher_top_k(config.top_k)
    return {"outliers": divergence(Divergence("forward"), support=support, gate=gate, weight=weight)}


def _guidance_terms(config: TrustRegionConfig) -> Mapping[str, Term]:
    if not config.guidance:
        return {}
    return {"guidance": likelihood(gate=teacher_tokens, coefficient=config.guidance_weight)}
