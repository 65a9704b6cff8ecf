"""What one step of a recipe asks for, in counts: rollouts, tokens, who scores, what is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.models.memory import AVERAGES
from understudy.objectives.methods import objective_of
from understudy.recipe import Recipe

ASSUMED_PROMPT_TOKENS = 256
"""Length of a prompt where nobody has said it."""
_PARAMETER_BYTES = 12  # the weight read and written, its gradient read; the averages come on top


@dataclass(frozen=True)
class Workload:
    """One step.

    Args:
        prompts, generations: problems, and rollouts of each. prompt_tokens: of a problem.
        completion_tokens: of a rollout, over all its turns. turns: of a rollout.
        has_teacher: one scores. has_reference: one scores. student_scores: the student is asked once more.
        full_vocabulary: the loss reads the teacher's whole distribution.
        updates: optimiser steps. lora_rank: of adapters; None trains all weights. checkpointing: activations are made
            again. student_dtype, teacher_dtype: of products. micro_batch_tokens: of a pass.
        sampler_rows: rollouts side by side in one sampler. average_bytes: of AdamW's averages, a weight.
        environment_seconds: of one turn of a world, beside the student's own.
    """

    prompts: int
    generations: int
    prompt_tokens: float
    completion_tokens: float
    turns: int = 1
    has_teacher: bool = True
    has_reference: bool = False
    student_scores: bool = False
    full_vocabulary: bool = False
    updates: int = 1
    lora_rank: int | None = None
    checkpointing: bool = False
    student_dtype: Literal["float32", "bfloat16"] = "float32"
    teacher_dtype: Literal["float32", "bfloat16"] = "float32"
    micro_batch_tokens: int = 16384
    sampler_rows: int = 256
    average_bytes: float = 8.0
    environment_seconds: float = 0.0

    @property
    def rollouts(self) -> int:
        """Of a step."""
        return self.prompts * self.generations

    @property
    def completion_rows(self) -> float:
        """Tokens that the student writes in a step."""
        return self.rollouts * self.completion_tokens

    @property
    def context_tokens(self) -> float:
        """Of one rollout: its prompt and all it holds."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def tokens(self) -> float:
        """Tokens that a pass over all rollouts reads."""
        return self.rollouts * self.context_tokens

    @property
    def optimizer_bytes(self) -> float:
        """Read and written for one trained weight in an optimiser step."""
        return _PARAMETER_BYTES + 2 * self.average_bytes


def workload_of(
    recipe: Recipe,
    *,
    prompt_tokens: float = ASSUMED_PROMPT_TOKENS,
    completion_tokens: float | None = None,
    environment_seconds: float = 0.0,
) -> Workload:
    """The workload of a recipe.

    Args:
        completion_tokens: of a whole rollout, on average; None counts every turn at its longest.
    """
    objective = objective_of(recipe.objective.with_token_ids(lambda _: -1))
    needs, rollout = objective.needs, recipe.rollout
    teachers = [*recipe.teachers.values()]
    longest = float(rollout.max_completion_length * rollout.max_turns)
    truncated = rollout.top_p < 1 or rollout.top_k > 0
    return Workload(
        prompts=rollout.prompts_per_step,
        generations=rollout.num_generations,
        prompt_tokens=prompt_tokens,
        completion_tokens=longest if completion_tokens is None else completion_tokens,
        turns=rollout.max_turns,
        has_teacher="teacher" in needs.scorers(),
        has_reference="reference" in needs.scorers(),
        student_scores=truncated or bool(needs.top_k.get("student")) or "student_entropy" in needs.columns,
        full_vocabulary=bool(needs.hidden),
        updates=objective.num_updates,
        lora_rank=None if recipe.student.lora is None else recipe.student.lora.rank,
        checkpointing=recipe.engine.activation_checkpointing == "on",
        student_dtype=recipe.student.dtype,
        teacher_dtype=teachers[0].dtype if teachers else recipe.student.dtype,
        micro_batch_tokens=recipe.engine.micro_batch_tokens,
        sampler_rows=recipe.engine.sampler_batch_rows,
        average_bytes=AVERAGES[recipe.optimizer.states],
        environment_seconds=environment_seconds,
    )
