"""Local support matching: reverse KL on the teacher's likeliest words, both sides renormalised on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from understudy.objectives.gates import Gate, student_tokens, top_entropy_within
from understudy.objectives.methods.config import GatedConfig
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import Denominator
from understudy.objectives.special_tokens import first_special_tokens
from understudy.objectives.supports import OnIds, sampled_token, student_top_k, teacher_top_k, union
from understudy.objectives.terms import divergence
from understudy.plans import Divergence


class LocalSupport(GatedConfig):
    """Teacher top-k local support matching of "Revisiting OPD".

    The source samples with top_p 0.9 (it reports that this is needed for stability) and temperature 1: both are
    fields of the recipe's section ``rollout``.

    Args:
        top_k: tokens of the support.
        support: whose likeliest tokens they are; the source's default is the teacher's.
        append_sampled: add the sampled token where it is not among them.
        normalisation: ``renormalised`` makes both sides sum to 1 on the support, without which the source saw training
            collapse; ``tail`` adds one bucket for all other tokens instead, our own option.
        log_ratio_clip: log S - log T is cut to this many nats on either side; null, the source's default, cuts
            nothing, and its option is 5.
        special_tokens: tokens, by text or id, whose first occurrence in each rollout is dropped from the loss:
            the source lists the pieces of the thinking tags and the end token.
        entropy_share: of each rollout's tokens, those where the student is least sure; 1, the source's default, keeps
            all, and its option is 0.2.
        denominator: what the means divide by: the source's kept tokens (``gated``), or ``all`` response tokens.
    """

    method: Literal["local_support"] = "local_support"
    top_k: int = Field(default=32, ge=2)
    support: Literal["teacher", "student"] = "teacher"
    append_sampled: bool = False
    normalisation: Literal["renormalised", "tail"] = "renormalised"
    log_ratio_clip: float | None = Field(default=None, gt=0)
    special_tokens: tuple[int | str, ...] = ()
    entropy_share: float = Field(default=1.0, gt=0, le=1)
    denominator: Denominator = "gated"

    def with_token_ids(self, id_of: Callable[[str], int]) -> LocalSupport:
        """The same configuration with special tokens named by their text replaced by their ids."""
        ids = tuple(id_of(token) if isinstance(token, str) else token for token in self.special_tokens)
        return self.model_copy(update={"special_tokens": ids})


def local_support(config: LocalSupport) -> Objective:
    """Local reverse KL: L_t = sum_{v in topK(T)} S^_v (log S^_v - log T^_v), S^ and T^ renormalised on the top-k.

    The gradient is that of this sum at each visited state, through weight and logarithm. Only logits of the
    top-k are pushed, by amounts that sum to zero (identity 7 of docs/methods/identities.md); with k the vocabulary
    size it is that of KL(S||T). The mean is over the tokens that are kept. No policy gradient, no gradient through
    sampling.

    Source: "Revisiting On-Policy Distillation", arXiv:2603.25562; its ``compute_memory_efficient_kl``.
    """
    clip = float("inf") if config.log_ratio_clip is None else config.log_ratio_clip
    term = divergence(
        Divergence("reverse", support=config.normalisation, log_ratio_clip=clip),
        support=_support(config),
        gate=_gate(config),
    )
    return config.objective({"local": term})


def _gate(config: LocalSupport) -> Gate:
    gate = student_tokens & ~first_special_tokens(config.special_tokens)
    return gate if config.entropy_share == 1 else gate & top_entropy_within(config.entropy_share)


def _support(config: LocalSupport) -> OnIds:
    top = teacher_top_k(config.top_k) if config.support == "teacher" else student_top_k(config.top_k)
    return union(top, sampled_token()) if config.append_sampled else top
