"""All that touches vLLM in this process: a model that it loads, ids in and ids out, and weights put into it.

Written from vLLM 0.33's documentation. It never ran with vLLM itself; docs/cluster.md says what it was tried with.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from understudy.errors import RecipeError


@dataclass(frozen=True)
class VllmOptions:
    """How vLLM runs beside a student that learns.

    Args:
        model: folder or hub name. dtype: of its weights. max_length: longest context in tokens.
        adapter_rank: of LoRA adapters that it is given; 0 for whole weights. memory: share of the device.
        eager: no CUDA graphs. trust_remote_code: run Python code that comes with the model.
    """

    model: str
    dtype: str
    max_length: int
    adapter_rank: int = 0
    memory: float = 0.4
    eager: bool = False
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Wish:
    """One completion: ids of its prompt, and the fields of vLLM's ``SamplingParams``."""

    prompt: Sequence[int]
    params: Mapping[str, object]


@dataclass(frozen=True)
class Outcome:
    """What vLLM drew: ids, their log-probs, and its word for why it ended."""

    ids: list[int]
    logprobs: list[float]
    reason: str | None


class VllmEngine:
    """vLLM in this process.

    Args:
        options: see there.
    Raises:
        RecipeError: vLLM is not installed, or does not start.
    """

    def __init__(self, options: VllmOptions) -> None:
        # Workers of its own would have to be sent every weight as a pickle; in this process they are handed over.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        self._vllm = _imported("vllm")
        self._requests = _imported("vllm.lora.request") if options.adapter_rank else None
        self._adapter: Any = None
        self._num_adapters = 0
        adapters: dict[str, object] = {}
        if options.adapter_rank:
            adapters = {"enable_lora": True, "max_lora_rank": _rank_for(options.adapter_rank), "max_loras": 1}
        try:
            self._llm = self._vllm.LLM(
                model=options.model,
                dtype=options.dtype,
                max_model_len=options.max_length,
                gpu_memory_utilization=options.memory,
                enforce_eager=options.eager,
                trust_remote_code=options.trust_remote_code,
                skip_tokenizer_init=True,
                generation_config="vllm",  # else the model's own file sets temperature and truncation
                logprobs_mode="processed_logprobs",  # of the distribution that samples
                **adapters,
            )
        except (RuntimeError, ValueError) as error:
            raise RecipeError(
                "vLLM does not start in this process",
                got=" ".join(str(error).split())[:300],
                remedy="Lower rollout.sampler.gpu_memory_utilization, or sample from a server (rollout.server).",
            ) from error

    def generate(self, wishes: Sequence[Wish]) -> list[Outcome]:
        """One outcome a wish, in order."""
        answers = self._llm.generate(
            [{"prompt_token_ids": list(wish.prompt)} for wish in wishes],
            [self._vllm.SamplingParams(**wish.params) for wish in wishes],
            lora_request=self._adapter,
            use_tqdm=False,
        )
        return [_outcome(answer.outputs[0]) for answer in answers]

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Put whole weights, by their names in a checkpoint, into the model; earlier prefixes are forgotten."""

        def load(model: Any) -> None:
            model.load_weights(iter(weights.items()))

        self._llm.apply_model(load)
        self._llm.reset_prefix_cache()

    def take_adapter(self, name: str, folder: Path) -> None:
        """Draw with this adapter from now on; a number of its own keeps its prefixes apart from the ones before."""
        assert self._requests is not None
        self._num_adapters += 1
        self._adapter = self._requests.LoRARequest(name, self._num_adapters, str(folder))


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RecipeError(
            "rollout.sampler: vllm needs vLLM in this Python",
            got=str(error),
            remedy="Install vllm beside a CUDA build of torch, or leave rollout.sampler out.",
        ) from error


def _outcome(drawn: Any) -> Outcome:
    ids = list(drawn.token_ids)
    told = drawn.logprobs or []
    return Outcome(ids, [float(each[id].logprob) for id, each in zip(ids, told, strict=True)], drawn.finish_reason)


def _rank_for(rank: int) -> int:
    """The smallest rank that vLLM has memory for by name, and that holds this one."""
    return next((known for known in (8, 16, 32, 64, 128, 256, 320, 512) if known >= rank), rank)
