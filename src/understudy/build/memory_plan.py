"""What a run takes at its highest, by phase, before it begins; and what to do where the device has less."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from understudy.engines.local.free_memory import free_memory
from understudy.errors import RecipeError
from understudy.models import memory
from understudy.models.load import LoadedModel
from understudy.models.memory import ModelSize, Precision
from understudy.objectives.objective import Objective
from understudy.recipe import Engine, Recipe

ASSUMED_PROMPT_TOKENS = 256
"""Length of a prompt where nobody has read them yet."""
Phase = Literal["always", "sampling", "scoring", "update"]

# Float32 buffers of [rows, vocabulary] that exist together, measured (docs/design/013-memory.md).
_LOGITS_OF_IDS, _LOGITS_OF_ALL, _LOGITS_OF_SAMPLING = 2.0, 3.0, 3.0
# What allocators and libraries take beside tensors, measured there too.
_LIBRARIES = 48 << 20
# The plan counts every completion at its longest, and is right to 30 %: what lies between is told and not refused.
_TIGHT = 1.3


@dataclass(frozen=True)
class Resident:
    """A model that a run holds.

    Args:
        role: ``student``, ``reference``, ``teacher`` or ``teacher/NAME``. size: of it. dtype: of its weights.
    """

    role: str
    size: ModelSize
    dtype: Precision = "float32"


@dataclass(frozen=True)
class Part:
    """One purpose.

    Args:
        name: for people. phase: while it exists. num_bytes: how much. field: of the recipe, to lower or set.
    """

    name: str
    phase: Phase
    num_bytes: int
    field: str


@dataclass(frozen=True)
class MemoryPlan:
    """What a run takes.

    Args:
        parts: by purpose. checkpointing: whether the update makes activations again.
    """

    parts: Sequence[Part]
    checkpointing: bool = False

    def of_phase(self, phase: Phase) -> int:
        """Bytes of the parts of this phase alone."""
        return sum(part.num_bytes for part in self.parts if part.phase == phase)

    @property
    def highest(self) -> Phase:
        """The phase that takes most."""
        phases: tuple[Phase, ...] = ("sampling", "scoring", "update")
        return max(phases, key=self.of_phase)

    @property
    def peak(self) -> int:
        """Bytes at the highest moment: what is always there, and the phase that takes most."""
        return self.of_phase("always") + self.of_phase(self.highest)

    def by_name(self) -> dict[str, int]:
        """Bytes by purpose."""
        return {part.name: part.num_bytes for part in self.parts}


def memory_plan(
    recipe: Recipe, residents: Sequence[Resident], objective: Objective, *, prompt_tokens: int, checkpointing: bool
) -> MemoryPlan:
    """The plan of a recipe whose models have these sizes, the student first.

    Args:
        prompt_tokens: the longest prompt. checkpointing: activations are made again.
    """
    student, others = residents[0], residents[1:]
    length = prompt_tokens + recipe.rollout.max_completion_length * recipe.rollout.max_turns
    parts = [
        Part("libraries", "always", _LIBRARIES, ""),
        *_kept(recipe, student.size, objective),
        *(_weights(recipe, one) for one in others),
        *_sampling(recipe, student, length),
        *_scoring(recipe, residents, length),
        *_update(recipe, student.size, objective, length, checkpointing=checkpointing),
    ]
    return MemoryPlan([part for part in parts if part.num_bytes], checkpointing)


def _weights(recipe: Recipe, one: Resident) -> Part:
    role = "teacher" if one.role.startswith("teacher") else one.role
    num_bytes = memory.BYTES[one.dtype] * one.size.num_parameters
    # At home on the CPU they are on the accelerator only while they score.
    phase: Phase = "scoring" if recipe.engine.offload == "teacher" and _is_on_accelerator(recipe.engine) else "always"
    return Part(f"{one.role} weights", phase, num_bytes, f"{role}.dtype: bfloat16, or a smaller {role}.model")


def _is_on_accelerator(engine: Engine) -> bool:
    return engine.device == "cuda" or (engine.device == "auto" and torch.cuda.is_available())


def _trained(recipe: Recipe, size: ModelSize) -> int:
    lora = recipe.student.lora
    return size.num_parameters if lora is None else size.lora_parameters(lora.rank)


def _kept(recipe: Recipe, size: ModelSize, objective: Objective) -> list[Part]:
    """The student, and all that lasts as long as it. Adapters that are switched off are its start."""
    trained, states = _trained(recipe, size), recipe.optimizer.states
    adapters = trained if recipe.student.lora is not None else 0
    small = "student.lora, or a smaller student.model"
    parts = [
        Part("student weights", "always", 4 * (size.num_parameters + adapters), small),
        Part("optimizer", "always", int(memory.AVERAGES[states] * trained), "optimizer.states, or student.lora"),
    ]
    if recipe.student.ema_decay is not None:
        parts.append(Part("student's average", "always", 4 * trained, "student.ema_decay: null, or student.lora"))
    needs_start = recipe.keeps_initial or objective.writing.weights == "initial"
    if needs_start and recipe.student.lora is None:
        parts.append(Part("student's start", "always", 4 * trained, "student.lora"))
    return parts


def _sampling(recipe: Recipe, student: Resident, length: int) -> list[Part]:
    rows = min(recipe.engine.sampler_batch_rows, _rollouts(recipe))
    size, field = student.size, "engine.sampler_batch_rows"
    prompt = length - recipe.rollout.max_completion_length * recipe.rollout.max_turns
    return [
        Part("sampler cache", "sampling", memory.keys_and_values(size, rows * length, precision="float32"), field),
        Part(
            "prompts' activations",
            "sampling",
            memory.scoring_activations(size, rows * prompt, precision="float32"),
            field,
        ),
        Part("sampler's logits", "sampling", memory.logits(size, rows, buffers=_LOGITS_OF_SAMPLING), field),
    ]


def _rollouts(recipe: Recipe) -> int:
    return recipe.rollout.prompts_per_step * recipe.rollout.num_generations


def _pass_tokens(recipe: Recipe, length: int) -> int:
    """Tokens of the largest pass: one context at least, all there are at most."""
    return max(length, min(recipe.engine.micro_batch_tokens, _rollouts(recipe) * length))


def _scoring(recipe: Recipe, residents: Sequence[Resident], length: int) -> list[Part]:
    """One model scores at a time, so the largest counts."""
    tokens = _pass_tokens(recipe, length)
    rows = min(recipe.engine.head_chunk_rows, tokens)
    activations = max(memory.scoring_activations(one.size, tokens, precision=one.dtype) for one in residents)
    width = max(memory.logits(one.size, rows, buffers=_LOGITS_OF_IDS) for one in residents)
    return [
        Part("scoring's activations", "scoring", activations, "engine.micro_batch_tokens"),
        Part("scoring's logits", "scoring", width, "engine.head_chunk_rows"),
    ]


def _update(recipe: Recipe, size: ModelSize, objective: Objective, length: int, *, checkpointing: bool) -> list[Part]:
    trained, tokens, precision = _trained(recipe, size), _pass_tokens(recipe, length), recipe.student.dtype
    rows = min(recipe.engine.head_chunk_rows, tokens)
    buffers = _LOGITS_OF_ALL if objective.needs.hidden else _LOGITS_OF_IDS
    activations = memory.training_activations(size, tokens, precision=precision, checkpointing=checkpointing)
    copies = 2 * size.num_parameters if precision == "bfloat16" else 0
    head = 0 if recipe.student.lora is not None else 2 * 4 * size.vocab_size * size.width
    states = 4 * tokens * size.width * (2 if objective.needs.hidden else 1)
    return [
        Part("student gradients", "update", 4 * trained, "student.lora"),
        Part("bfloat16 copies", "update", copies, "student.dtype: float32"),
        Part("activations", "update", activations, "engine.micro_batch_tokens"),
        Part("states at the head", "update", states, "engine.micro_batch_tokens"),
        Part("logits", "update", memory.logits(size, rows, buffers=buffers), "engine.head_chunk_rows"),
        Part("head's gradient", "update", head, "student.lora"),
    ]


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
    choice = recipe.engine.activation_checkpointing
    plans = {
        again: memory_plan(recipe, residents, objective, prompt_tokens=prompt_tokens, checkpointing=again)
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
    return settle(
        recipe,
        [resident(role, one) for role, one in models],
        objective,
        prompt_tokens=prompt_tokens,
        free=free_memory(student.device),
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
