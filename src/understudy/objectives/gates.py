"""Gates: which rows a term sees. Only ``& | ~`` combine them; every gate is a constant once planned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import Needs, needs_of, requires
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.within import quantile_within
from understudy.rollouts import Origin
from understudy.tokens import TokenTable


@dataclass(frozen=True)
class Gate:
    """A named boolean column [N].

    Args:
        name: also the metric ``gate/<name>``. column: the function that computes it; its ``needs`` are the gate's.
    """

    name: str
    column: Slot

    @property
    def needs(self) -> Needs:
        """What the table must hold."""
        return needs_of(self.column)

    def __call__(self, table: TokenTable, context: PlanContext) -> Tensor:
        """[N] bool."""
        return self.column(table, context)

    def __and__(self, other: Gate) -> Gate:
        return Gate(
            f"{self.name}&{other.name}",
            requires(needs=needs_of(self, other))(lambda table, context: self(table, context) & other(table, context)),
        )

    def __or__(self, other: Gate) -> Gate:
        return Gate(
            f"({self.name}|{other.name})",
            requires(needs=needs_of(self, other))(lambda table, context: self(table, context) | other(table, context)),
        )

    def __invert__(self) -> Gate:
        return Gate(f"~{self.name}", requires(needs=needs_of(self))(lambda table, context: ~self(table, context)))


def chosen_by(origin: Origin) -> Gate:
    """Rows whose token was chosen by ``origin``."""
    return Gate(f"{origin.name.lower()}_tokens", requires()(lambda table, _: table["origin"] == origin))


student_tokens = chosen_by(Origin.STUDENT)
teacher_tokens = chosen_by(Origin.TEACHER)
data_tokens = chosen_by(Origin.DATA)
every_token = Gate("every_token", requires()(lambda table, _: torch.ones(table.num_tokens, dtype=torch.bool)))

solved = Gate(
    "solved",
    requires(needs=Needs(graded=frozenset({"correct"})))(
        lambda table, _: (table.rollouts["correct"] == 1)[table["rollout"]]
    ),
)
"""Rows of rollouts that solved their task; a rollout that nothing decided is not among them."""


def teacher_differs() -> Gate:
    """Rows where teacher and student differ by more than rounding alone could (docs/design/004-rounding.md)."""
    log_ratio = teacher_log_ratio()
    return Gate(
        "teacher_differs",
        requires(needs=needs_of(log_ratio))(lambda table, context: log_ratio(table, context) != 0),
    )


def teacher_entropy_above(threshold: float) -> Gate:
    """Rows where the teacher's exact entropy exceeds ``threshold`` nats. Source: EOPD, arXiv:2603.07079, eq. 7."""
    return Gate("teacher_uncertain", requires("teacher_entropy")(lambda table, _: table["teacher_entropy"] > threshold))


def teacher_entropy_below(threshold: float) -> Gate:
    """Rows where the teacher is sure: its exact entropy is below ``threshold`` nats."""
    return Gate("teacher_sure", requires("teacher_entropy")(lambda table, _: table["teacher_entropy"] < threshold))


def top_entropy(share: float, *, among: Gate = student_tokens) -> Gate:
    """The ``share`` of the batch's rows (over all ranks) where the student's entropy is highest.

    Source: Wang et al., arXiv:2506.01939.
    """

    @requires("student_entropy", needs=needs_of(among))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        entropy = table["student_entropy"]
        threshold = context.world.quantile(entropy[among(table, context)], 1 - share)
        return entropy >= threshold

    return Gate("top_entropy", column)


def top_entropy_within(share: float, *, among: Gate = student_tokens) -> Gate:
    """The ``share`` of each rollout's rows where the student's entropy is highest.

    Source: Revisiting OPD, arXiv:2603.25562 (its published code draws the line sample by sample).
    """

    @requires("student_entropy", needs=needs_of(among))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        entropy, rollout, kept = table["student_entropy"], table["rollout"], among(table, context)
        threshold = quantile_within(entropy[kept], 1 - share, rollout=rollout[kept], num_rollouts=table.num_rollouts)
        return entropy >= threshold[rollout]

    return Gate("top_entropy_within", column)


def after_first(num_tokens: int) -> Gate:
    """Rows past the first ``num_tokens`` scored tokens of their rollout."""
    return Gate("after_first", requires()(lambda table, _: table["index_in_rollout"] >= num_tokens))
