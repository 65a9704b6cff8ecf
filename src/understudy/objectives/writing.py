"""Who writes the completions that an objective learns from: the student, a teacher, the data, or several in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.schedules import Schedule


@dataclass(frozen=True)
class RolloutMix:
    """Who writes the completions of a step: shares of prompts, one keyed draw a prompt decides; they sum to 1."""

    student: float = 1.0
    teacher: float = 0.0
    data: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.student, self.teacher, self.data)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise RecipeError("shares of a rollout mix", got=shares, expected="three shares >= 0 that sum to 1")


ON_POLICY = RolloutMix()


@dataclass(frozen=True)
class TeacherPrefix:
    """Each of the student's rollouts begins with the first tokens of a stored teacher completion of its prompt.

    The prefix is min(l_max(step), length of the teacher's text) tokens of origin TEACHER; where the teacher's text
    has ended within it, the student writes nothing.

    Args:
        share: l_max(step) as a share of ``max_completion_length``, from 1 down to 0 at the last step.
        length: ``full`` takes l_max tokens; ``uniform`` a keyed draw from 0 to l_max (our choice, not the paper's).
        num_texts: teacher completions stored for a prompt; attempt i begins with number i modulo this. The paper does
            not say how many: 1, shared by all attempts, is our choice.

    Source: TrOPD, arXiv:2606.01249.
    """

    share: Schedule
    length: Literal["full", "uniform"] = "full"
    num_texts: int = 1

    def __post_init__(self) -> None:
        if self.num_texts < 1:
            raise RecipeError("texts of a teacher prefix", got=self.num_texts, expected="1 or more")

    def longest(self, context: PlanContext, *, max_completion_length: int) -> int:
        """l_max(step) in tokens: the share of ``max_completion_length``, rounded, never more than all of it."""
        return min(max_completion_length, max(0, round(self.share(context) * max_completion_length)))


@dataclass(frozen=True)
class TurnWindow:
    """Rollouts end after so many turns: ``num_turns(step)``, at least 1. Source: TCOD-F2B, arXiv:2604.24005."""

    num_turns: Callable[[int], int]

    def limit(self, step: int, *, max_turns: int) -> int:
        """Turns that a rollout of ``step`` may have, at most ``max_turns`` and at least 1."""
        return max(1, min(max_turns, self.num_turns(step)))


@dataclass(frozen=True)
class ExpertReplay:
    """The first turns repeat a stored teacher episode of the task: all but the last ``num_left(step)`` of its turns.

    Replayed turns are of origin TEACHER; the student plays from there on. Source: TCOD-B2F, arXiv:2604.24005.
    """

    num_left: Callable[[int], int]

    def num_replayed(self, step: int, *, num_turns: int) -> int:
        """How many turns of a teacher episode of ``num_turns`` a rollout of ``step`` repeats."""
        return max(0, num_turns - max(0, self.num_left(step)))


@dataclass(frozen=True)
class Writing:
    """How the rollouts of a step come about.

    Args:
        mix: who writes. prefix: what the student's completions begin with. turns: which turns it plays.
        weights: ``live`` samples the student afresh at every step; ``initial`` samples the student as it was before
            step 0, one fixed completion for each attempt at a prompt, whatever the epoch (Lightning OPD).
    """

    mix: RolloutMix = ON_POLICY
    prefix: TeacherPrefix | None = None
    turns: TurnWindow | ExpertReplay | None = None
    weights: Literal["live", "initial"] = "live"

    def __post_init__(self) -> None:
        if self.prefix is not None and isinstance(self.turns, ExpertReplay):
            raise RecipeError("a teacher prefix and an expert replay both say how a rollout begins", expected="one")
        if self.weights == "initial" and (self.prefix is not None or self.turns is not None):
            raise RecipeError(
                "completions of the initial weights are fixed", got="a prefix or turns that change with the step"
            )

    @property
    def needs_teacher_text(self) -> bool:
        """Whether a teacher must write."""
        return self.mix.teacher > 0 or self.prefix is not None or isinstance(self.turns, ExpertReplay)
