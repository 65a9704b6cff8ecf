"""How far sampling may run ahead of training, and what is done about tokens of older weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from understudy.recipe.section import Number, Section, Whole

Correction = Literal["none", "signal", "ratio", "mask"]


class Overlap(Section):
    """Sampling, teacher scoring and training at the same time, with rollouts of older weights.

    Args:
        max_staleness: rollouts of step t are drawn with weights of step t - max_staleness at the oldest; 0 draws
            every step with the newest weights, before it.
        steps_ahead: steps that are sampled before their turn; null takes all of ``max_staleness``. What is left of it
            is for rollouts that are carried over.
        segment_tokens: a step draws at most so many tokens of a rollout; one that has not ended then goes on in the
            next step, with the weights of that step. null draws each to its end.
        correction: for tokens of older weights. ``none``: the sampler's log-probs stand for the student's, the
            importance ratio is 1 before the update. ``signal``: what the teacher says is compared with the present
            student. ``ratio``: that, and the ratio of present student to sampler, at most ``cap``. ``mask``: that
            ratio within [1 / cap, cap], and nothing outside.
        cap: of the ratio.
    """

    max_staleness: Whole = Field(default=0, ge=0, le=64)
    steps_ahead: Whole | None = Field(default=None, ge=0)
    segment_tokens: Whole | None = Field(default=None, ge=1)
    correction: Correction = "ratio"
    cap: Number = Field(default=2.0, ge=1)

    @property
    def ahead(self) -> int:
        """Steps that are sampled before their turn."""
        return self.max_staleness if self.steps_ahead is None else self.steps_ahead

    @model_validator(mode="after")
    def _staleness_is_spent_once(self) -> Overlap:
        if self.ahead > self.max_staleness:
            raise ValueError(f"steps_ahead of {self.ahead} is more than max_staleness of {self.max_staleness}")
        if self.segment_tokens is not None and self.ahead == self.max_staleness:
            raise ValueError(
                "segment_tokens carries rollouts over, for which max_staleness leaves nothing: raise it above "
                f"steps_ahead, which is {self.ahead}"
            )
        return self
