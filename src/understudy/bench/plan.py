"""What a comparison is made of: its definition, and the recipe of each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from understudy.bench.contenders import Contender
from understudy.bench.settings import Domain, Setting
from understudy.objectives.methods import METHODS, objective_of
from understudy.objectives.methods.config import MethodConfig
from understudy.recipe import recipe_from
from understudy.testbed import dataset_named

RatePolicy = Literal["unified", "tuned", "stored"]


@dataclass(frozen=True)
class Scale:
    """How large a comparison is.

    Args:
        steps: of each run; None takes the setting's. seeds: runs of each contender, seeds 0, 1, ...
        problems: of each domain in the examination. validation_problems: of the split that rates are chosen on.
        probe_every: steps between fresh answers for the curves. probe_problems: answered each time.
    """

    steps: int | None = None
    seeds: int = 5
    problems: int = 1000
    validation_problems: int = 300
    probe_every: int = 4
    probe_problems: int = 48


@dataclass(frozen=True)
class Definition:
    """What two sessions of one comparison must agree on; contenders and seeds may be added.

    Args:
        setting: its name. rates: where learning rates come from. ablation: of which method, or None.
        steps, problems, probe_every, probe_problems: as they are used. models: what each name of a model stands for.
    """

    setting: str
    rates: RatePolicy
    ablation: str | None
    steps: int
    problems: int
    probe_every: int
    probe_problems: int
    models: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return asdict(self)


def recipe_of(
    setting: Setting, contender: Contender, *, steps: int, seed: int, learning_rate: float, folder: Path, told: Path
) -> dict[str, object]:
    """The recipe of one run as plain values, checked.

    Args:
        folder: of the run. told: folder of the teachers' own solutions, for contenders that learn from them.
    Raises:
        RecipeError: a field of the contender does not exist or is out of range.
    """
    objective = unified(contender.objective, top_k=setting.top_k)
    recipe = {
        "name": folder.name,
        "seed": seed,
        "student": {"model": setting.student},
        "teacher": _teacher(setting),
        "reference": contender.reference,
        "data": _data(setting, told if contender.tells else None),
        "objective": objective,
        "optimizer": {"learning_rate": learning_rate, "schedule": "linear"},
        "steps": steps,
        "evaluation": {"teacher": False},
        "checkpoint": {"every": max(1, steps // 2), "keep_last": 1},
        "engine": {"threads": 1, "micro_batch_tokens": 1024, "device": "cpu"},
        "output": str(folder.parent),
    }
    learns = recipe_from(recipe, source=contender.name).objective
    return recipe_from({**recipe, "rollout": _rollout(setting, learns)}).model_dump(mode="json")


def unified(objective: Mapping[str, object], *, top_k: int) -> dict[str, object]:
    """The objective with the comparison's k in place of its method's own default, where it has such a field."""
    fields = _config_of(str(objective["method"])).model_fields
    return {**({"top_k": top_k} if "top_k" in fields else {}), **objective}


def _config_of(method: str) -> type[MethodConfig]:
    return next(config for config in METHODS if config.model_fields["method"].default == method)


def _teacher(setting: Setting) -> dict[str, object]:
    teachers = {domain.name: {"model": domain.teacher} for domain in setting.trained}
    if len(teachers) == 1:
        return {"model": setting.domains[0].teacher}
    return {"routes": teachers}


def _data(setting: Setting, told: Path | None) -> dict[str, object]:
    parts = [_part(domain, told) for domain in setting.trained]
    if len(parts) == 1:
        return {key: value for key, value in parts[0].items() if key != "name"}
    return {"mixture": parts}


def _part(domain: Domain, told: Path | None) -> dict[str, Any]:
    verifier = dataset_named(domain.dataset).verifier.model_dump(mode="json")
    source = domain.dataset if told is None else str(told_file(told, domain))
    return {"name": domain.name, "dataset": source, "verifier": verifier}


def told_file(folder: Path, domain: Domain) -> Path:
    """Where the solutions of a domain's teacher to its training problems are kept."""
    return folder / f"{domain.name}.jsonl"


def _rollout(setting: Setting, learns: MethodConfig) -> dict[str, object]:
    """Equally many sequences a step for everybody: text of the data is taken once, so more of its prompts."""
    from_data = objective_of(learns).mix.data == 1
    return {
        "prompts_per_step": setting.prompts * (setting.generations if from_data else 1),
        "num_generations": 1 if from_data else setting.generations,
        "max_completion_length": setting.max_completion_length,
    }
