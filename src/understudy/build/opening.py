"""The folder of a recipe's run, and whether a run goes on to another number of steps.

A run that goes on to more steps must be what a run of so many would have been from its start. It is wherever nothing
that it did depends on how many there are; where something does, the fields are named and the run is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from understudy.errors import RunDirectoryError
from understudy.recipe import Recipe, differences, recipe_from, to_yaml
from understudy.recipe.yaml_text import parse_yaml
from understudy.training import checkpoint
from understudy.training.ranks import Ranks, by_first
from understudy.training.run_directory import RunDirectory, open_run
from understudy.training.surroundings import describe

_ANEW = (
    "to train on from its weights, start a new run under another name=... with student.model=FOLDER, the model/ of its "
    "last checkpoint."
)


def opened(recipe: Recipe, ranks: Ranks, *, resume: bool, is_own: bool = False) -> RunDirectory:
    """The run's folder, opened by the first rank; the others only know where it is.

    Args:
        is_own: the objective is a Python caller's own, in place of the recipe's.
    Raises:
        RunDirectoryError: see ``open_run``; or the run cannot go on to so many steps.
    """
    mine: list[RunDirectory] = []

    def first() -> bool:
        mine.append(_opened_here(recipe, resume=resume, is_own=is_own))
        return mine[0].resumed

    resumed = by_first(ranks, first)
    return mine[0] if mine else RunDirectory(recipe.run_directory, resumed)


def tied_to_steps(recipe: Recipe) -> list[str]:
    """The fields by which what a run does depends on how many steps it has, each with its value.

    >>> from understudy.recipe import Optimizer, recipe_from
    >>> raw = {"student": {"model": "m"}, "data": {"dataset": "d", "prompt": "{q}"}, "steps": 9}
    >>> raw |= {"objective": {"method": "sft"}, "optimizer": {"schedule": "linear"}}
    >>> tied_to_steps(recipe_from(raw))
    ["optimizer.schedule: 'linear'"]
    """
    objective, overlap = recipe.objective, recipe.rollout.overlap
    found = [] if recipe.optimizer.schedule == "constant" else [f"optimizer.schedule: {recipe.optimizer.schedule!r}"]
    found += [f"objective.{name}: {_shown(getattr(objective, name))}" for name in objective.tied_to_steps()]
    if overlap.segment_tokens is not None:  # the last step draws every rollout to its end
        found.append(f"rollout.overlap.segment_tokens: {overlap.segment_tokens}")
    return found


def _opened_here(recipe: Recipe, *, resume: bool, is_own: bool) -> RunDirectory:
    return open_run(
        recipe.run_directory,
        recipe=to_yaml(recipe),
        environment=describe(seed=recipe.seed),
        resume=resume,
        differences=lambda old, new: differences(*(_recipe_in(text, recipe) for text in (old, new))),
        adopts=partial(_adopts, recipe, is_own),
    )


def _adopts(recipe: Recipe, is_own: bool, old: str, _: str) -> Sequence[str] | None:
    before = _recipe_in(old, recipe)
    if differences(before.model_copy(update={"steps": recipe.steps}), recipe):
        return None
    _refuse_other_steps(before, recipe, is_own=is_own)
    told = [f"The run began with {before.steps} steps and goes on to {recipe.steps}; summary and report come anew."]
    if is_own:
        told.append("Whether your objective depends on the number of steps is not known here.")
    return told


def _refuse_other_steps(before: Recipe, recipe: Recipe, *, is_own: bool) -> None:
    run = recipe.run_directory
    done = max(checkpoint.steps_of(run / "checkpoints"), default=0)
    if done > recipe.steps:
        raise RunDirectoryError(
            f"{run} cannot go back",
            got=f"steps: {recipe.steps}, of a run that has done {done}",
            expected=f"at least {done}",
            remedy="Resume with as many or more, or start a new run under another name=...",
        )
    tied = [one for one in tied_to_steps(before) if not (is_own and one.startswith("objective."))]
    tied += _evaluations_counted(before, done)
    if tied:
        raise RunDirectoryError(
            f"{run} cannot go on to another number of steps, for what it did depends on how many there are",
            got=f"steps: {before.steps} -> {recipe.steps}, with {', '.join(tied)}",
            remedy=f"Resume with steps={before.steps}; {_ANEW}",
        )


def _evaluations_counted(before: Recipe, done: int) -> list[str]:
    """The field that counts evaluations, where the one at the run's end is none that a longer run would have had."""
    evaluation = before.evaluation
    is_extra = done >= before.steps and evaluation.after and bool(evaluation.every and before.steps % evaluation.every)
    return [f"evaluation.stop_after: {evaluation.stop_after}"] if evaluation.stop_after and is_extra else []


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)


def _recipe_in(text: str, recipe: Recipe) -> Recipe:
    source = str(recipe.run_directory / "recipe.yaml")
    content = parse_yaml(text, source=source)
    if not isinstance(content, dict):
        raise RunDirectoryError(f"{source} is not a recipe")
    return recipe_from(content, source=source)
