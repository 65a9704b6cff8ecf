"""What a run takes at its highest, by phase, before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from understudy.build.cut import Cut
from understudy.models import memory
from understudy.models.memory import ModelSize, Precision
from understudy.objectives.objective import Objective
from understudy.recipe import Engine, Recipe

ASSUMED_PROMPT_TOKENS = 256
"""Length of a prompt where nobody has read them yet."""
Phase = Literal["always", "loading", "sampling", "scoring", "update"]

# Float32 buffers of [rows, vocabulary] that exist together, measured (docs/design/013-memory.md).
_LOGITS_OF_IDS, _LOGITS_OF_ALL, _LOGITS_OF_SAMPLING = 2.0, 3.0, 3.0
# What allocators and libraries take beside tensors, measured there too.
_LIBRARIES = 48 << 20
_SMALL = "student.lora, or a smaller student.model"


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
        phases: tuple[Phase, ...] = ("loading", "sampling", "scoring", "update")
        return max(phases, key=self.of_phase)

    @property
    def peak(self) -> int:
        """Bytes at the highest moment: what is always there, and the phase that takes most."""
        return self.of_phase("always") + self.of_phase(self.highest)

    def by_name(self) -> dict[str, int]:
        """Bytes by purpose."""
        return {part.name: part.num_bytes for part in self.parts}


def memory_plan(
    recipe: Recipe,
    residents: Sequence[Resident],
    objective: Objective,
    *,
    prompt_tokens: int,
    checkpointing: bool,
    cut: Cut | None = None,
) -> MemoryPlan:
    """The plan of a recipe whose models have these sizes, the student first.

    Args:
        prompt_tokens: the longest prompt. checkpointing: activations are made again. cut: of the student over
            ranks, of which this is the plan of one; None: it is whole.
    """
    cut = cut or Cut()
    student, others = residents[0], residents[1:]
    length = prompt_tokens + recipe.rollout.max_completion_length * recipe.rollout.max_turns
    parts = [
        Part("libraries", "always", _LIBRARIES, ""),
        *_kept(recipe, student.size, objective, cut),
        *(_weights(recipe, one) for one in others),
        *_sampling(recipe, student, length, cut),
        *_scoring(recipe, residents, length, cut),
        *_update(recipe, student.size, objective, length, checkpointing=checkpointing, cut=cut),
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


def _kept(recipe: Recipe, size: ModelSize, objective: Objective, cut: Cut) -> list[Part]:
    """The student, and all that lasts as long as it. Adapters that are switched off are its start."""
    trained, is_adapted = _kept_trained(recipe, size, cut), recipe.student.lora is not None
    own = 4 * (cut.share(size) + (trained if is_adapted else 0))
    optimizer = int(memory.AVERAGES[recipe.optimizer.states] * trained)
    parts = [
        Part("student weights", "always", own, _SMALL),
        Part("optimizer", "always", optimizer, "optimizer.states, or student.lora"),
    ]
    if cut.is_cluster:
        whole = 4 * (size.num_parameters + (_trained(recipe, size) if is_adapted else 0))
        # It is loaded whole and then cut; the averages come later.
        parts.append(Part("student before it is cut", "loading", max(0, whole - own - optimizer), _SMALL))
        if recipe.rollout.server is None:
            parts.append(Part("student's whole copy", "always", whole, "rollout.server, or a smaller student.model"))
    if recipe.student.ema_decay is not None:
        parts.append(Part("student's average", "always", 4 * trained, "student.ema_decay: null, or student.lora"))
    needs_start = recipe.keeps_initial or objective.writing.weights == "initial"
    if needs_start and recipe.student.lora is None:
        parts.append(Part("student's start", "always", 4 * trained, "student.lora"))
    return parts


def _kept_trained(recipe: Recipe, size: ModelSize, cut: Cut) -> int:
    """Trained weights that this process holds."""
    return cut.share(size) if recipe.student.lora is None else cut.adapters_share(_trained(recipe, size))


def _sampling(recipe: Recipe, student: Resident, length: int, cut: Cut) -> list[Part]:
    rows = min(recipe.engine.sampler_batch_rows, _rollouts(recipe, cut))
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


def _rollouts(recipe: Recipe, cut: Cut) -> int:
    """That this process makes."""
    return -(-recipe.rollout.prompts_per_step // cut.ranks) * recipe.rollout.num_generations


def _pass_tokens(recipe: Recipe, length: int, cut: Cut) -> int:
    """Tokens of the student's largest pass: one context of each peer at least, all there are at most."""
    return max(length * cut.peers, min(recipe.engine.micro_batch_tokens, _rollouts(recipe, cut) * cut.peers * length))


def _scoring(recipe: Recipe, residents: Sequence[Resident], length: int, cut: Cut) -> list[Part]:
    """One model scores at a time, so the largest counts."""
    tokens = _pass_tokens(recipe, length, cut)
    rows = min(recipe.engine.head_chunk_rows, tokens)
    activations = max(memory.scoring_activations(one.size, tokens, precision=one.dtype) for one in residents)
    width = max(memory.logits(one.size, rows, buffers=_LOGITS_OF_IDS) for one in residents)
    return [
        Part("scoring's activations", "scoring", activations, "engine.micro_batch_tokens"),
        Part("scoring's logits", "scoring", width, "engine.head_chunk_rows"),
        Part("weights gathered to score", "scoring", cut.gathered(residents[0].size, recipe.student.dtype), _SMALL),
    ]


def _update(
    recipe: Recipe, size: ModelSize, objective: Objective, length: int, *, checkpointing: bool, cut: Cut
) -> list[Part]:
    tokens, precision = _pass_tokens(recipe, length, cut), recipe.student.dtype
    rows = min(recipe.engine.head_chunk_rows, tokens)
    buffers = _LOGITS_OF_ALL if objective.needs.hidden else _LOGITS_OF_IDS
    own = replace(size, inner=size.inner // cut.peers, query=size.query // cut.peers, key=size.key // cut.peers)
    activations = memory.training_activations(own, tokens, precision=precision, checkpointing=checkpointing)
    copies = 2 * size.num_parameters if precision == "bfloat16" and not cut.is_cluster else 0
    head = 0 if recipe.student.lora is not None else 2 * 4 * size.vocab_size * size.width
    states = 4 * tokens * size.width * (2 if objective.needs.hidden else 1)
    return [
        Part("student gradients", "update", 4 * _kept_trained(recipe, size, cut), "student.lora"),
        Part("gathered weights", "update", cut.gathered(size, precision), _SMALL),
        Part("bfloat16 copies", "update", copies, "student.dtype: float32"),
        Part("activations", "update", activations, "engine.micro_batch_tokens"),
        Part("states at the head", "update", states, "engine.micro_batch_tokens"),
        Part("logits", "update", memory.logits(size, rows, buffers=buffers), "engine.head_chunk_rows"),
        Part("head's gradient", "update", head, "student.lora"),
    ]
