"""On-policy distillation up to the point where the teacher has nothing clear to say any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import GatedConfig
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.teachability import blocks, sentences, teachable_prefix, teacher_margin
from understudy.objectives.terms import policy_gradient


class PrefixTeach(GatedConfig):
    """On-policy distillation on the teachable beginning of each response.

    Args:
        top_k: the student's candidates among which the teacher's margin is taken. The paper's number is not known; 16
            is our choice.
        sentence_ends: tokens that close a sentence, by id or by text; none divides responses into blocks instead. The
            paper divides text with NLTK, which tokens of any vocabulary cannot: both ways are our choice.
        block_tokens: length of a block where there are no sentence ends; 16 is our choice.
        shortest: sentences or blocks that either side of a change point has at least; 2 is our choice.
        denominator: of the mean, ``all`` response tokens, our choice, or the ``gated`` ones, those that are kept.
    """

    method: Literal["prefix_teach"] = "prefix_teach"
    top_k: int = Field(default=16, ge=2)
    sentence_ends: tuple[int | str, ...] = ()
    block_tokens: int = Field(default=16, ge=1)
    shortest: int = Field(default=2, ge=1)

    def with_token_ids(self, id_of: Callable[[str], int]) -> PrefixTeach:
        """The same configuration with sentence ends by their ids."""
        ends = tuple(id_of(end) if isinstance(end, str) else end for end in self.sentence_ends)
        return self.model_copy(update={"sentence_ends": ends})


def prefix_teach(config: PrefixTeach) -> Objective:
    """A_t = 1[t before the change point] (log pi_T - log pi_S)(y_t): OPD until the teacher's preferences blur.

    The teacher's margin between its two favourites among the student's top k is averaged over each sentence; a
    response is cut where the Bayesian information criterion finds one lasting drop of these means, and kept whole
    where there is none. The expected gradient is that of the sum over all rollouts, each up to its own cut, which
    depends on later tokens: where no rollout is cut it is that of KL(S||T) at every visited state.

    Source: Prefix Teach, Suffix Fade, arXiv:2605.13643.
    """
    part = sentences(config.sentence_ends) if config.sentence_ends else blocks(config.block_tokens)
    gate = teachable_prefix(teacher_margin(config.top_k), part=part, shortest=config.shortest)
    return config.objective({"policy": policy_gradient(signal=teacher_log_ratio(), gate=gate)})
