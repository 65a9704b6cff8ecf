"""vLLM's Python interface, as far as a run uses it, over a model of this process.

It takes the arguments that vLLM's documentation names, refuses others, and draws with the program's own sampler: one
generator a request, seeded as vLLM seeds one. What real vLLM does otherwise it cannot show.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from understudy.engines.vllm_engine import VllmEngine, VllmOptions
from understudy.models.load import load_model
from understudy.models.sampling import LocalSampler
from understudy.protocols import Sample, SampleRequest
from understudy.protocols import SamplingParams as OwnParams
from understudy.serving.adapters import Adapters

KNOWN = frozenset(
    {
        "dtype",
        "enable_lora",
        "enforce_eager",
        "generation_config",
        "gpu_memory_utilization",
        "logprobs_mode",
        "max_lora_rank",
        "max_loras",
        "max_model_len",
        "skip_tokenizer_init",
        "trust_remote_code",
    }
)


@dataclass(frozen=True)
class SamplingParams:
    """The fields that a run sets; any other is an error, as it is there."""

    n: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    seed: int
    stop_token_ids: list[int]
    ignore_eos: bool
    logprobs: int
    detokenize: bool

    @property
    def own(self) -> OwnParams:
        stop = frozenset(self.stop_token_ids)
        return OwnParams(self.max_tokens, self.temperature, self.top_p, max(self.top_k, 0), stop)


@dataclass(frozen=True)
class LoRARequest:
    """An adapter in a folder."""

    lora_name: str
    lora_int_id: int
    lora_path: str


class LLM:
    """A model that generates."""

    def __init__(self, *, model: str, **options: Any) -> None:
        unknown = options.keys() - KNOWN
        assert not unknown, f"vLLM knows no {unknown}"
        assert options["logprobs_mode"] == "processed_logprobs"
        self.model, self.options, self.num_resets = model, options, 0
        loaded = load_model(model, dtype=options["dtype"])
        self.module = loaded.model
        self.sampler = LocalSampler(loaded.model, vocab_size=loaded.vocab_size, max_length=options["max_model_len"])
        self.adapters = Adapters(loaded.model)

    def generate(
        self,
        prompts: Sequence[dict[str, list[int]]],
        sampling_params: Sequence[SamplingParams],
        *,
        lora_request: LoRARequest | None = None,
        use_tqdm: bool = True,
    ) -> list[Any]:
        assert not use_tqdm and len(prompts) == len(sampling_params)
        if lora_request is not None and lora_request.lora_name not in self.adapters.paths:
            assert self.options.get("enable_lora")
            self.adapters.load(lora_request.lora_name, lora_request.lora_path, inplace=False)
        self.adapters.activate(None if lora_request is None else lora_request.lora_name)
        params = [wanted.own for wanted in sampling_params]
        assert len({replace(one, max_completion_length=1) for one in params}) == 1, (
            "a call's wishes differ in length only"
        )
        requests = [
            SampleRequest(torch.tensor(prompt["prompt_token_ids"]), key=wanted.seed, max_new_tokens=wanted.max_tokens)
            for prompt, wanted in zip(prompts, sampling_params, strict=True)
        ]
        longest = max(params, key=lambda one: one.max_completion_length)
        return [_output(sample) for sample in self.sampler.sample(requests, longest, seed=0, step=0)]

    def apply_model(self, func: Any) -> list[Any]:
        return [func(SimpleNamespace(load_weights=self._load_weights))]

    def reset_prefix_cache(self) -> bool:
        self.num_resets += 1
        return True

    def _load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        own: nn.Module = self.module
        named = dict(own.named_parameters())
        with torch.no_grad():
            for name, value in weights:
                named[name].copy_(value)


def _output(sample: Sample) -> Any:
    ids = sample.completion_ids.tolist()
    told = [{id: SimpleNamespace(logprob=value)} for id, value in zip(ids, sample.logprobs.tolist(), strict=True)]
    return SimpleNamespace(
        outputs=[SimpleNamespace(token_ids=ids, logprobs=told, finish_reason=str(sample.finish_reason))]
    )


@contextmanager
def vllm_installed() -> Iterator[None]:
    """Within the block ``import vllm`` finds this."""
    top, lora, request = (ModuleType(name) for name in ("vllm", "vllm.lora", "vllm.lora.request"))
    top.LLM, top.SamplingParams = LLM, SamplingParams  # type: ignore[attr-defined]
    request.LoRARequest = LoRARequest  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for module in (top, lora, request):
            patch.setitem(sys.modules, module.__name__, module)
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        yield


def engine_of(folder: Path, *, max_length: int, adapter_rank: int = 0) -> Any:
    """The program's engine on this stand-in."""
    with vllm_installed():
        return VllmEngine(VllmOptions(str(folder), "float32", max_length, adapter_rank=adapter_rank))
