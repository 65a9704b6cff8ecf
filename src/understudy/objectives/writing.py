"""Who writes the completions that an objective learns from: the student, a teacher, the data, or several in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from understudy.errors import RecipeError
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

    Source: TrOPD, arXiv:2606.01249; METHODS.md section 5.4.
    """

    share: Schedule
    length: Literal["full", "uniform"] = "full"


@dataclass(frozen=True)
class TurnWindow:
    """Rollouts end after so many turns: ``num_turns(step)``, at least 1. Source: TCOD-F2B, arXiv:2604.24005."""

    num_turns: Callable[[int], int]


@dataclass(frozen=True)
class ExpertReplay:
    """The first turns repeat a stored teacher episode of the task: all but the last ``num_left(step)`` of its turns.

    Replayed turns are of origin TEACHER; the student plays from there on. Source: TCOD-B2F, arXiv:2604.24005.
    """

    num_left: Callable[[int], int]


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

    @property
    def needs_teacher_text(self) -> bool:
        """Whether a teacher must write."""
        return self.mix.teacher > 0 or self.prefix is not None or isinstance(self.turns, ExpertReplay)
