"""The recipe of each run of a comparison of agents."""

from __future__ import annotations

from pathlib import Path

from understudy.bench.agents.contenders import AgentContender, teacher_of
from understudy.bench.agents.house import House
from understudy.recipe import recipe_from


def recipe_of(
    house: House, contender: AgentContender, *, steps: int, seed: int, learning_rate: float, folder: Path
) -> dict[str, object]:
    """The recipe of one run as plain values, checked.

    Args:
        folder: of the run.
    Raises:
        RecipeError: a field of the contender does not exist or is out of range.
    """
    recipe = {
        "name": folder.name,
        "seed": seed,
        "student": {"model": house.student},
        "teacher": teacher_of(contender, house.teachers),
        "reference": contender.reference,
        "data": {"dataset": house.dataset},
        "environment": {"kind": "household", "size": "tiny"},
        "rollout": {
            "prompts_per_step": house.prompts,
            "num_generations": house.generations,
            "max_completion_length": house.max_completion_length,
            "max_turns": house.max_turns,
        },
        "objective": dict(contender.objective),
        "optimizer": {"learning_rate": learning_rate, "schedule": "linear"},
        "steps": steps,
        "evaluation": {"teacher": False},
        "checkpoint": {"every": max(1, steps // 2), "keep_last": 1},
        "engine": {"threads": 1, "micro_batch_tokens": 2048, "device": "cpu"},
        "output": str(folder.parent),
    }
    return recipe_from(recipe, source=contender.name).model_dump(mode="json")
