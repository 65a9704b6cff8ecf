"""A student sampled by vLLM in the process that trains it."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from understudy.build.supplies import WEIGHTS
from understudy.engines.local import LocalPolicy
from understudy.engines.pushed_weights import PushedWeights, weights_as_saved
from understudy.engines.supply import FolderWeights, Supply
from understudy.engines.vllm_engine import VllmEngine, VllmOptions
from understudy.engines.vllm_sampler import VllmSampler
from understudy.recipe import Recipe
from understudy.recipe.samplers import VllmInProcess


def vllm_sampler(section: VllmInProcess, recipe: Recipe, policy: LocalPolicy) -> VllmSampler:
    """vLLM with the student's weights as they are on disk; raises RecipeError where it is not installed."""
    student, length = recipe.student, min(policy.max_length, section.max_model_len or policy.max_length)
    options = VllmOptions(
        policy.loaded.name,
        student.dtype,
        length,
        adapter_rank=0 if student.lora is None else student.lora.rank,
        memory=section.gpu_memory_utilization,
        eager=section.enforce_eager,
        trust_remote_code=student.trust_remote_code,
    )
    return VllmSampler(VllmEngine(options), max_length=length)


def vllm_supply(policy: LocalPolicy, sampler: VllmSampler, recipe: Recipe, *, run: Path | None) -> Supply:
    """Whole weights from memory to memory; adapters through the run's folder, where vLLM reads them."""
    if recipe.student.lora is None:
        return PushedWeights(partial(weights_as_saved, policy.sampling_model), sampler)
    folder = Path(tempfile.mkdtemp(prefix="understudy-")) if run is None else run / WEIGHTS
    return FolderWeights(policy.save_model, sampler, folder)
