"""Whether a run fits into the memory that is free, and what is chosen so that it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from understudy.build.cut import cut_of
from understudy.build.memory_plan import ASSUMED_PROMPT_TOKENS, MemoryPlan, Resident, memory_plan
from understudy.errors import RecipeError
from understudy.models import memory
from understudy.models.free_memory import free_memory
from understudy.models.load import LoadedModel
from understudy.models.memory import ModelSize
from understudy.objectives.objective import Objective
from understudy.recipe import Recipe

# The plan counts every completion at its longest, and is right to 30 %: what lies between is told and not refused.
_TIGHT = 1.3


@dataclass(frozen=True)
class Settled:
    """What was decided.

    Args:
        plan: that holds. recipe: with the choices made. notices: what the user should know.
    """

    plan: MemoryPlan
    recipe: Recipe
    notices: Sequence[str] = ()


def settle(
    recipe: Recipe,
    residents: Sequence[Resident],
    objective: Objective,
    *,
    prompt_tokens: int,
    free: int | None,
    loaded: int = 0,
) -> Settled:
    """Choose checkpointing where the recipe leaves it open, and refuse what cannot fit.

    Args:
        free: bytes that the device has left; None: nobody knows, and nothing is refused. loaded: bytes of the plan
            that are there already.
    Raises:
        RecipeError: the run needs more than there is by a margin that the plan's error cannot explain.
    """
    choice, cut = recipe.engine.activation_checkpointing, cut_of(recipe)
    plans = {
        again: memory_plan(recipe, residents, objective, prompt_tokens=prompt_tokens, checkpointing=again, cut=cut)
        for again in (False, True)
    }
    plan = plans[choice == "on"]
    if free is None or plan.peak - loaded <= free:
        return Settled(plan, recipe)
    notices = []
    if choice == "auto" and plans[True].peak < plan.peak:
        notices.append(
            f"The activations do not fit (about {_size(plan.peak - loaded)} wanted, {_size(free)} free), so they are "
            "made again for the gradient: engine.activation_checkpointing is on."
        )
        plan, recipe = plans[True], _checkpointed(recipe)
    wanted = plan.peak - loaded
    if wanted > free * _TIGHT:
        raise _too_large(plan, wanted, free)
    if wanted > free:
        notices.append(
            f"Memory is tight: about {_size(wanted)} wanted if every completion is at its longest, {_size(free)} free."
        )
    return Settled(plan, recipe, notices)


def settle_loaded(
    recipe: Recipe,
    objective: Objective,
    student: LoadedModel,
    others: Mapping[str, LoadedModel],
    *,
    prompt_tokens: int = ASSUMED_PROMPT_TOKENS,
) -> Settled:
    """``settle`` for models that are loaded, on their device; ``others`` by role, each model counted once.

    Raises:
        RecipeError: as ``settle``.
    """
    if student.is_papers:  # it learns elsewhere
        return Settled(MemoryPlan([]), recipe)
    distinct = {id(one.model): (role, one) for role, one in others.items()}
    models = [("student", student), *distinct.values()]
    free = free_memory(student.device)
    if free is not None and student.device.type == "cpu":
        free //= cut_of(recipe).here  # the ranks of a machine share its memory
    return settle(
        recipe,
        [resident(role, one) for role, one in models],
        objective,
        prompt_tokens=prompt_tokens,
        free=free,
        loaded=bytes_on(student.device, [one for _, one in models]),
    )


def bytes_on(device: torch.device, models: Iterable[LoadedModel]) -> int:
    """What the weights of those models take that are on the device; one that only visits it is at home elsewhere."""
    there = [resident("", one) for one in models if one.device == device and not one.is_papers]
    return sum(memory.BYTES[one.dtype] * one.size.num_parameters for one in there)


def resident(role: str, one: LoadedModel) -> Resident:
    """A model that is loaded, in this role."""
    parameters = list(one.model.parameters())
    size = ModelSize.of(one.model.config, sum(p.numel() for p in parameters))
    return Resident(role, size, "bfloat16" if parameters[0].element_size() == 2 else "float32")


def _checkpointed(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"engine": recipe.engine.model_copy(update={"activation_checkpointing": "on"})})


def _too_large(plan: MemoryPlan, wanted: int, free: int) -> RecipeError:
    present = [part for part in plan.parts if part.field and part.phase in ("always", plan.highest)]
    most = sorted(present, key=lambda part: -part.num_bytes)[:3]
    lower = list(dict.fromkeys(part.field for part in most))
    return RecipeError(
        f"the run needs about {_size(wanted)} of memory and the device has {_size(free)} free; most goes to "
        + ", ".join(f"{part.name} {_size(part.num_bytes)}" for part in most),
        remedy=f"Lower or set {'; '.join(lower)}.",
    )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:,.2f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:,.1f} MiB"
