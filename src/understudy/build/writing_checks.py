"""What a recipe must name so that its rollouts can come about as its method says; asked before anything is loaded."""

from __future__ import annotations

from understudy.errors import RecipeError
from understudy.objectives.writing import ExpertReplay, Writing
from understudy.recipe import Recipe, Teacher


def check_writing(recipe: Recipe, writing: Writing) -> None:
    """Refuse a recipe without the teacher's text that its method needs.

    Raises:
        RecipeError: neither a teacher nor a column of the data gives it, or only a column where episodes are replayed.
    """
    method, expected = recipe.objective.method, "teacher.model, a local model other than the student"
    if not writing.needs_teacher_text or teacher_writes(recipe):
        return
    if isinstance(writing.turns, ExpertReplay):
        if recipe.rollout.max_turns > 1 or writing.mix.teacher:
            raise RecipeError(f"method {method!r} needs a teacher that plays episodes", expected=expected)
    elif not recipe.data.has_teacher_text:
        raise RecipeError(
            f"method {method!r} needs a teacher that writes",
            expected=f"{expected}, or data.teacher_text",
            remedy="Add teacher: {model: ...}, or name the column of a teacher's completions: data.teacher_text.",
        )


def teacher_writes(recipe: Recipe) -> bool:
    """Whether the recipe's teacher is one model of its own, which can write."""
    return isinstance(recipe.teacher, Teacher) and not recipe.teacher.is_self


def writing_notices(recipe: Recipe, writing: Writing) -> list[str]:
    """What the user should know of a method that does less here than its name says."""
    if isinstance(writing.turns, ExpertReplay) and recipe.rollout.max_turns == 1:
        method = recipe.objective.method
        return [f"Method {method} repeats a teacher's turns; rollout.max_turns is 1, so there is nothing to repeat."]
    return []
