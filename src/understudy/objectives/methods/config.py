"""The fields that every method has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from understudy.objectives.objective import Objective, Truncated
from understudy.objectives.reductions import Denominator, Reduction, ReductionName, divided_by, reduction_named
from understudy.objectives.terms import Term
from understudy.objectives.writing import Writing

Progress = Literal["reverse_kl", "forward_kl", "jsd", "data_nll", "teacher_text_nll", "reward"]
"""What a method drives: a divergence between student and teacher on the student's own text, the negative
log-likelihood of given text, all downwards; or the mean reward, upwards."""


class MethodConfig(BaseModel):
    """Base of all methods' configurations.

    Args:
        method: name in a recipe. reduction: how tokens add up; ``token_mean`` divides by all response tokens.
        reduction_constant: divides what the reduction gives, whatever the batch holds.
        num_updates: optimiser steps a batch of rollouts, which are split by group, neighbours together.
        domain_weights: factor of every row of a domain (the name of its data set), in every term.
        truncated: what becomes of rollouts that the length limit cut: learned from like others (``keep``), or left out
            of every term and mean (``mask``), with their rewards still compared in their groups. TRL's
            ``mask_truncated_completions``; DAPO's overlong filtering, arXiv:2503.14476, section 3.4.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    progress: ClassVar[Progress] = "reverse_kl"

    method: str
    reduction: ReductionName = "token_mean"
    reduction_constant: float = Field(default=1.0, gt=0)
    num_updates: int = Field(default=1, ge=1)
    domain_weights: Mapping[str, float] = Field(default_factory=dict)
    truncated: Truncated = "keep"

    def reduce(self) -> Reduction:
        """The reduction that the recipe names."""
        return divided_by(reduction_named(self.reduction), self.reduction_constant)

    def tied_to_steps(self) -> tuple[str, ...]:
        """Names of the fields by which, as they are set, some of this depends on the recipe's number of steps."""
        return ()

    def with_token_ids(self, id_of: Callable[[str], int]) -> MethodConfig:  # noqa: ARG002
        """The same configuration with tokens that it names by their text replaced by ids of the tokenizer."""
        return self

    def objective(self, terms: Mapping[str, Term], *, writing: Writing | None = None) -> Objective:
        """These terms under the fields that every method has."""
        return Objective(
            terms=terms,
            writing=writing or Writing(),
            reduction=self.reduce(),
            num_updates=self.num_updates,
            domain_weights=self.domain_weights,
            truncated=self.truncated,
        )


class GatedConfig(MethodConfig):
    """Base of the configurations of methods that learn from some of the tokens only.

    Args:
        denominator: what the means divide by: ``all`` response tokens, so that the gradient shrinks with every token
            left out, or the ``gated`` ones, those that are kept; ``token_sum`` divides by nothing.
    """

    denominator: Denominator = "all"

    def reduce(self) -> Reduction:
        """The reduction that the recipe names, over the denominator that it names."""
        reduction = reduction_named(self.reduction, denominator=self.denominator)
        return divided_by(reduction, self.reduction_constant)
