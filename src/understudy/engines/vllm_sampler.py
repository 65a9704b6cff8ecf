"""Rollouts of a student that vLLM samples in the process that trains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor

from understudy.engines.vllm_engine import Outcome, Wish
from understudy.errors import ModelError, ServerAnswerError
from understudy.models.sampling_distribution import check_params
from understudy.models.sampling_room import room_for
from understudy.protocols import Sample, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason
from understudy.servers.cargo import Cargo
from understudy.servers.decoding import logprobs
from understudy.servers.drawing import Key
from understudy.servers.weights import adapter_name

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class Drawing(Protocol):
    """What is asked of ``VllmEngine``."""

    def generate(self, wishes: Sequence[Wish]) -> list[Outcome]:
        """One outcome a wish, in order."""

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Whole weights, by their names in a checkpoint."""

    def take_adapter(self, name: str, folder: Path) -> None:
        """Draw with this adapter from now on."""


class VllmSampler:
    """Implements ``Sampler``; completions are told of when all of a call have ended.

    Each request has a seed of (seed, step, key, start index) for vLLM's own generator: the same request gives the same
    completion as far as vLLM repeats itself, and another one than ``LocalSampler``.

    Args:
        engine: vLLM. max_length: longest context in tokens. version: what the present weights are called.
    """

    def __init__(self, engine: Drawing, *, max_length: int, version: int = 0) -> None:
        self._engine, self.max_length, self.version = engine, max_length, version

    def sample(
        self,
        requests: Sequence[SampleRequest],
        params: SamplingParams,
        *,
        seed: int,
        step: int,
        progress: Callable[[int], None] | None = None,
        ended: Callable[[int, Sample], None] | None = None,
    ) -> list[Sample]:
        """One sample a request, in order.

        Raises:
            ContextLengthError: a prompt leaves no room. RecipeError: a parameter is out of range.
            ServerAnswerError: what vLLM drew is no completion.
        """
        check_params(params)
        wishes = [self._wish(request, params, seed=seed, step=step) for request in requests]
        samples = [self._sample(outcome) for outcome in self._engine.generate(wishes)] if wishes else []
        for place, sample in enumerate(samples):
            if ended is not None:
                ended(place, sample)
        if progress is not None and samples:
            progress(len(samples))
        return samples

    def load_weights(self, source: Path | None, version: int) -> None:
        """Take the weights in a folder (an adapter in PEFT's layout, or a whole model); None: vLLM has them already.

        Raises:
            ModelError: the folder holds neither.
        """
        if source is not None and (source / "adapter_config.json").exists():
            self._engine.take_adapter(adapter_name(source, version), source)
        elif source is not None:
            self._engine.take(_weights_in(source))
        self.version = version

    def push_weights(self, cargo: Cargo, version: int) -> None:
        """Take these weights as ``version``."""
        self._engine.take(cargo.tensors)
        self.version = version

    def _wish(self, request: SampleRequest, params: SamplingParams, *, seed: int, step: int) -> Wish:
        wanted: dict[str, object] = {
            "n": 1,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": params.top_k or -1,
            "max_tokens": room_for(request, params, max_length=self.max_length),
            "seed": Key(seed, step, request.key, request.start_index).word,
            "stop_token_ids": sorted(params.stop_ids),
            "ignore_eos": True,  # only the run's own ids end a completion
            "logprobs": 0,
            "detokenize": False,
        }
        return Wish(request.prompt_ids.tolist(), wanted)

    def _sample(self, outcome: Outcome) -> Sample:
        if outcome.reason not in _REASONS or not outcome.ids:
            raise ServerAnswerError("vLLM gave up on a completion", got=outcome.reason, expected="stop or length")
        found = logprobs(torch.tensor(outcome.logprobs).numpy(), name="vLLM's log-probs of a completion")
        return Sample(
            completion_ids=torch.tensor(outcome.ids, dtype=torch.int64),
            logprobs=torch.from_numpy(found),
            weight_version=torch.full((len(outcome.ids),), self.version, dtype=torch.int64),
            finish_reason=_REASONS[outcome.reason],
        )


def _weights_in(folder: Path) -> dict[str, Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} holds no weights", expected="safetensors files")
    return {name: value for file in files for name, value in load_file(file).items()}
