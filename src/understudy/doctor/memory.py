"""Does the run fit into memory? From configurations alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from understudy.build.models import device_of
from understudy.build.settling import resident, settle
from understudy.doctor.findings import Finding, ok, stop_for, warn
from understudy.errors import RecipeError
from understudy.models.free_memory import free_memory
from understudy.models.load import LoadedModel
from understudy.objectives.methods import objective_of
from understudy.recipe import Recipe


def memory_finding(
    recipe: Recipe, student: LoadedModel, teachers: Mapping[str, LoadedModel], *, longest_prompt: int
) -> Finding:
    """The highest phase against what the device has free now.

    Args:
        student, teachers: their papers; models that are the same weights count once.
    """
    objective = objective_of(recipe.objective.with_token_ids(lambda _: -1))
    by_name = {one.name: (role, one) for role, one in teachers.items()}
    residents = [resident("student", student), *(resident(role, one) for role, one in by_name.values())]
    free = free_memory(torch.device(device_of(recipe.engine)))
    try:
        settled = settle(recipe, residents, objective, prompt_tokens=longest_prompt, free=free)
    except RecipeError as error:
        return stop_for("memory", error)
    plan = settled.plan
    what = f"about {_size(plan.peak)} at the highest moment ({plan.highest})"
    what += "" if free is None else f", {_size(free)} free"
    if settled.notices:
        return warn("memory", what, " ".join(settled.notices))
    return ok("memory", what)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:,.2f} GiB"
