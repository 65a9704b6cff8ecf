"""How the rollouts of a run will come about, at its first, middle and last step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.build.writers import prefix_lengths_of
from understudy.build.writing_checks import check_writing, writing_notices
from understudy.objectives.writing import ExpertReplay, TurnWindow, Writing
from understudy.recipe import Recipe


@dataclass(frozen=True)
class WritingPreview:
    """The answer of a dry run; lists hold the first, the middle and the last step, and are empty where nothing is said.

    Args:
        weights: of the student that is sampled: ``live``, or ``initial`` for those before step 0.
        prefix_lengths: l_max in tokens. prefix_draw: ``full`` or ``uniform``; empty without a prefix.
        turn_limits: turns that a rollout may have. turns_left: turns of a teacher's episode that it does not repeat.
        teacher_text: where the teacher's text comes from: ``teacher``, ``data``, or nothing.
        notices: what does less than its name says.
    """

    weights: Literal["live", "initial"]
    prefix_lengths: list[int]
    prefix_draw: str
    turn_limits: list[int]
    turns_left: list[int]
    teacher_text: str
    notices: list[str]

    def lines(self) -> list[tuple[str, str]]:
        """What there is to say, as (heading, words)."""
        where = "at the first, middle and last step"
        draw = "" if self.prefix_draw == "full" else ", uniform from 0"
        source = "what the teacher writes" if self.teacher_text == "teacher" else "data.teacher_text"
        said = [
            ("student's weights", "those before step 0, one completion an attempt", self.weights == "initial"),
            ("teacher prefix", f"up to {_three(self.prefix_lengths)} tokens {where}{draw}", self.prefix_lengths),
            ("turns", f"at most {_three(self.turn_limits)} {where}", self.turn_limits),
            ("expert replay", f"all but the last {_three(self.turns_left)} turns {where}", self.turns_left),
            ("teacher's text", source, self.teacher_text),
        ]
        return [(heading, words) for heading, words, is_there in said if is_there] + [
            ("notice", notice) for notice in self.notices
        ]


def preview_writing(recipe: Recipe, writing: Writing) -> WritingPreview:
    """What the schedules of ``writing`` give under this recipe.

    Raises:
        RecipeError: the recipe lacks the teacher's text that they need.
    """
    check_writing(recipe, writing)
    steps, most = (0, recipe.steps // 2, recipe.steps - 1), recipe.rollout.max_turns
    turns, prefix = writing.turns, writing.prefix
    lengths = None if prefix is None else prefix_lengths_of(recipe, prefix)
    source = "data" if recipe.data.has_teacher_text else "teacher"
    return WritingPreview(
        weights=writing.weights,
        prefix_lengths=[] if lengths is None else [lengths.longest(step) for step in steps],
        prefix_draw="" if prefix is None else prefix.length,
        turn_limits=[turns.limit(step, max_turns=most) for step in steps] if isinstance(turns, TurnWindow) else [],
        turns_left=[turns.num_left(step) for step in steps] if isinstance(turns, ExpertReplay) else [],
        teacher_text=source if writing.needs_teacher_text else "",
        notices=writing_notices(recipe, writing),
    )


def _three(values: list[int]) -> str:
    return ", ".join(map(str, values))
