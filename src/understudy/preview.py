"""What a run would do, without doing it: objective, schedule, a planned synthetic batch, memory, downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from understudy.build.memory_plan import ASSUMED_PROMPT_TOKENS, MemoryPlan, Resident
from understudy.build.models import device_of, optimizer_of
from understudy.build.servers import served_models
from understudy.build.settling import settle
from understudy.build.teachers import teacher_notices
from understudy.build.writing_preview import WritingPreview, preview_writing
from understudy.engines.local import learning_rate_at
from understudy.errors import ModelError, RecipeError
from understudy.home import expanded
from understudy.models.free_memory import free_memory
from understudy.models.load import base_of
from understudy.models.locate import first_line, is_path
from understudy.models.memory import ModelSize, Precision
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.objective import Objective
from understudy.objectives.synthetic import synthetic_table
from understudy.recipe import Recipe, Reference
from understudy.tasks.rows import is_file_name
from understudy.testbed import is_testbed, model_config


@dataclass(frozen=True)
class ModelPreview:
    """What is known of a model before it is loaded.

    Args:
        role: student, reference, teacher, or ``teacher/NAME`` of several. model: as the recipe names it.
        where: on disk, built here, to fetch, not here, or whose weights it shares.
        num_parameters: None while its configuration is not on this machine, and for shared weights.
        config: its configuration. dtype: of its weights.
    """

    role: str
    model: str
    where: str
    num_parameters: int | None
    config: Any = None
    dtype: Precision = "float32"


@dataclass(frozen=True)
class Preview:
    """The answer of ``understudy train --dry-run``.

    Args:
        method: its name. environment: kind of world. needs: columns of scorers. writers: who writes completions.
        writing: how they come about.
        rollouts_per_step, updates_per_step, steps: counts. learning_rates: at the first, middle and last update.
        planned_rows: of a synthetic batch, by term. memory_bytes: planned, by purpose; empty when unknown.
        memory_peak_bytes: at the highest moment, since not all of it is there at one time; None when unknown.
        fetches: what the hub has to give. missing: paths at which nothing is. models: by role.
        notices: what the user should know of teacher and memory.
    """

    method: str
    environment: str
    needs: list[str]
    writers: list[str]
    writing: WritingPreview
    steps: int
    rollouts_per_step: int
    updates_per_step: int
    learning_rates: list[float]
    planned_rows: dict[str, int]
    memory_bytes: dict[str, int]
    memory_peak_bytes: int | None
    fetches: list[str]
    missing: list[str]
    models: list[ModelPreview]
    notices: list[str]

    def to_json(self) -> dict[str, object]:
        """Everything but the configurations of the models."""
        content = asdict(self)
        for model in content["models"]:
            del model["config"]
        return content

    def rows(self) -> list[list[str]]:
        """The same as a table of two columns."""
        rates = ", ".join(f"{rate:.3g}" for rate in self.learning_rates)
        updates = f"{self.updates_per_step} update(s)"
        return [
            ["method", self.method],
            ["environment", self.environment],
            ["written by", ", ".join(self.writers)],
            *(list(line) for line in self.writing.lines()),
            ["needs", ", ".join(self.needs) or "nothing"],
            ["steps", f"{self.steps}, each {self.rollouts_per_step} rollouts and {updates}"],
            ["learning rate", f"{rates} at the first, middle and last update"],
            ["planned rows", ", ".join(f"{name} {count}" for name, count in self.planned_rows.items())],
            *([model.role, _model_line(model)] for model in self.models),
            *([f"memory: {what}", f"{size / 2**20:,.1f} MiB"] for what, size in self.memory_bytes.items()),
            ["memory: total", _total(self.memory_peak_bytes)],
            ["to fetch", ", ".join(self.fetches) or "nothing"],
            *([["not here", ", ".join(self.missing)]] if self.missing else []),
            *(["notice", notice] for notice in self.notices),
        ]


def _model_line(model: ModelPreview) -> str:
    size = f", {model.num_parameters:,} parameters" if model.num_parameters is not None else ""
    return f"{model.model} ({model.where}{size})"


def _total(peak: int | None) -> str:
    if peak is None:
        return "unknown until the student is on this machine"
    return f"about {peak / 2**20:,.1f} MiB at the highest moment"


def preview(recipe: Recipe) -> Preview:
    """Plan a synthetic batch with the recipe's objective and estimate what the run takes; nothing is loaded."""
    # No tokenizer is loaded: tokens that the method names by their text are none of the synthetic batch's.
    objective = objective_of(recipe.objective.with_token_ids(lambda _: -1))
    updates = recipe.steps * objective.num_updates
    models, optimizer = _models(recipe), optimizer_of(recipe, objective.num_updates)
    memory, absent = _memory(recipe, models, objective), _absent_data(recipe)
    return Preview(
        method=recipe.objective.method,
        environment=recipe.environment.kind,
        needs=objective.needs.describe(),
        writers=[who for who in ("student", "teacher", "data") if getattr(objective.mix, who) > 0],
        writing=preview_writing(recipe, objective.writing),
        steps=recipe.steps,
        rollouts_per_step=recipe.rollout.prompts_per_step * recipe.rollout.num_generations,
        updates_per_step=objective.num_updates,
        learning_rates=[
            learning_rate_at(update, settings=optimizer, total_updates=updates)
            for update in (0, updates // 2, updates - 1)
        ],
        planned_rows=_planned_rows(objective, recipe),
        memory_bytes=memory.plan.by_name() if memory.plan else {},
        memory_peak_bytes=memory.plan.peak if memory.plan else None,
        fetches=[model.model for model in models if model.where == "to fetch"]
        + [name for name in absent if not is_file_name(name)],
        missing=[model.model for model in models if model.where == "not here"]
        + [name for name in absent if is_file_name(name)],
        models=models,
        notices=[*teacher_notices(recipe), *memory.notices],
    )


@dataclass(frozen=True)
class _Memory:
    plan: MemoryPlan | None
    notices: list[str]


def _memory(recipe: Recipe, models: list[ModelPreview], objective: Objective) -> _Memory:
    """The plan from the configurations on this machine, none without the student's; what does not fit is told."""
    known = [
        Resident(model.role, ModelSize.of(model.config, model.num_parameters), model.dtype)
        for model in models
        if model.num_parameters is not None
    ]
    if models[0].num_parameters is None:
        return _Memory(None, [])
    try:
        free = free_memory(torch.device(device_of(recipe.engine)))
        settled = settle(recipe, known, objective, prompt_tokens=ASSUMED_PROMPT_TOKENS, free=free)
    except RecipeError as error:  # this machine need not be the one of the run
        settled = settle(recipe, known, objective, prompt_tokens=ASSUMED_PROMPT_TOKENS, free=None)
        return _Memory(settled.plan, [str(error)])
    return _Memory(settled.plan, list(settled.notices))


def _models(recipe: Recipe) -> list[ModelPreview]:
    found = [_model("student", recipe.student.model, recipe.student.trust_remote_code)]
    seen: dict[object, str] = {}
    for role, teacher in recipe.teachers.items():
        if teacher.is_self:
            found.append(ModelPreview(role, teacher.model, f"the student's {teacher.resolved_weights} weights", None))
        elif teacher.weights_key in seen:
            found.append(ModelPreview(role, teacher.model, f"the weights of {seen[teacher.weights_key]}", None))
        else:
            seen[teacher.weights_key] = role
            found.append(_model(role, teacher.model, teacher.trust_remote_code, dtype=teacher.dtype))
    for role, served in served_models(recipe, with_teacher=True).items():
        found.append(ModelPreview(role, served.model or served.addresses[0], "behind a server", None))
    reference = recipe.reference
    if isinstance(reference, Reference) and reference.model != "initial":
        found.append(_model("reference", reference.model, reference.trust_remote_code, dtype=reference.dtype))
    return found


def _model(role: str, name: str, trust_remote_code: bool, *, dtype: Precision = "float32") -> ModelPreview:
    if is_testbed(name):
        return _described(ModelPreview(role, name, "built here", None, model_config(name), dtype))
    folder = expanded(name)
    # An adapter is merged into its base, whose size it then has.
    place = base_of(folder) or (str(folder) if folder.exists() else name)
    with _readable(name):
        try:
            config = AutoConfig.from_pretrained(place, local_files_only=True, trust_remote_code=trust_remote_code)
        except OSError:
            if Path(place).exists():
                raise
            return ModelPreview(role, name, "not here" if is_path(name) else "to fetch", None, dtype=dtype)
    return _described(ModelPreview(role, name, "on disk", None, config, dtype), trust_remote_code)


def _described(model: ModelPreview, trust_remote_code: bool = False) -> ModelPreview:
    """The same with its number of parameters."""
    with _readable(model.model), torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(model.config, trust_remote_code=trust_remote_code)
    return replace(model, num_parameters=sum(p.numel() for p in empty.parameters()))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Within the block transformers reads a configuration, whose kinds of errors are many."""
    try:
        yield
    except Exception as error:
        raise ModelError(
            f"{name} cannot be loaded as a causal language model",
            got=first_line(error),
            expected="a folder or hub id with config.json and *.safetensors",
        ) from error


def _absent_data(recipe: Recipe) -> list[str]:
    sources = [*recipe.data.parts, *(suite for suite in recipe.evaluation.suites if not isinstance(suite, str))]
    names = dict.fromkeys(source.dataset for source in sources)
    return [name for name in names if not is_testbed(name) and not expanded(name).exists()]


def _planned_rows(objective: Objective, recipe: Recipe) -> dict[str, int]:
    table = synthetic_table(objective)
    context = PlanContext(step=0, total_steps=recipe.steps, seed=recipe.seed, temperature=recipe.rollout.temperature)
    plans = objective.plan(table, context)
    return {
        term.name: sum(t.rows.numel() for p in plans for t in p.terms if t.name == term.name) for term in plans[0].terms
    }
