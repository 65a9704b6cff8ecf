"""The local sampler: batched decoding of any Hugging Face causal language model, every draw keyed by its rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from understudy import randomness
from understudy.errors import ContextLengthError, DataError, ModelError, RecipeError
from understudy.models.sampling_distribution import check_params
from understudy.models.sampling_wave import Wave, decode
from understudy.protocols import Sample, SampleRequest, SamplingParams


class LocalSampler:
    """Implements ``protocols.Sampler`` with a model in this process.

    Prompts are padded on the left, equal prompts are read once, rows leave the batch soon after they end, and the head
    is applied to the last position only. Log-probabilities are float32 and belong to the distribution that sampled; at
    temperature 0 they are those of temperature 1 over the whole vocabulary.

    Args:
        model: a causal language model of transformers, also wrapped by PEFT; it may be shared with a policy.
        vocab_size: true vocabulary; logits past it are cut before the softmax.
        max_length: longest context in tokens, prompt and completion together.
        device: where the model is. version: what the present weights are called.
        autocast_dtype: dtype of matrix products; None for the model's own.
        max_batch_rows: completions decoded together.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        vocab_size: int,
        max_length: int,
        device: str | torch.device = "cpu",
        version: int = 0,
        autocast_dtype: torch.dtype | None = None,
        max_batch_rows: int = 256,
    ) -> None:
        self.model, self.vocab_size, self.max_length, self.version = model, vocab_size, max_length, version
        self.device, self.autocast_dtype, self.max_batch_rows = torch.device(device), autocast_dtype, max_batch_rows

    def sample(
        self,
        requests: Sequence[SampleRequest],
        params: SamplingParams,
        *,
        seed: int,
        step: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[Sample]:
        """One sample a request, in order; ``progress`` is told how many more have ended.

        Raises:
            ContextLengthError: a prompt leaves no room for a token. DataError: a prompt is empty.
            RecipeError: a parameter is out of range. NonFiniteError: the model's logits are not numbers.
        """
        check_params(params)
        for request in requests:
            _check_prompt(request, self.max_length)
        samples: dict[int, Sample] = {}
        # no_grad, not inference_mode: what a shared model caches here (rotary tables) must stay fit for training.
        with _evaluating(self.model), torch.no_grad(), self._autocast():
            for places in _waves(requests, self.max_batch_rows):
                chosen = [requests[place] for place in places]
                wave = Wave(chosen, params, max_length=self.max_length, device=self.device)
                made = decode(
                    self.model,
                    wave,
                    vocab_size=self.vocab_size,
                    uniform=_uniform(chosen, wave.num_steps, seed=seed, step=step).to(self.device),
                    version=self.version,
                    progress=progress,
                )
                samples.update(zip(places, made, strict=True))
        return [samples[place] for place in range(len(requests))]

    def load_weights(self, source: Path | None, version: int) -> None:
        """Take the weights in folder ``source`` (Hugging Face form, or a PEFT adapter; None: shared in memory).

        Raises:
            ModelError: the folder holds neither, or not those of this model.
        """
        if source is not None:
            _read_weights(self.model, source)
        self.version = version

    def _autocast(self) -> Any:
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)


def _check_prompt(request: SampleRequest, max_length: int) -> None:
    length = request.prompt_ids.numel()
    if length == 0:
        raise DataError("a prompt has no tokens", got=f"rollout {request.key}", remedy="Give it at least one token.")
    if length >= max_length:
        raise ContextLengthError(
            "a prompt leaves no room for a completion",
            got=f"{length} tokens",
            expected=f"fewer than the context of {max_length} tokens",
            remedy="Shorten the prompt, filter the data, or use a model with a longer context.",
        )
    if request.max_new_tokens is not None and request.max_new_tokens < 1:
        raise RecipeError("max_new_tokens is out of range", got=request.max_new_tokens, expected="at least 1")


def _waves(requests: Sequence[SampleRequest], rows: int) -> Iterator[list[int]]:
    """Places of the requests in batches of at most ``rows``, prompts of like length together."""
    order = sorted(range(len(requests)), key=lambda place: requests[place].prompt_ids.numel())
    for start in range(0, len(order), rows):
        yield order[start : start + rows]


def _uniform(requests: Sequence[SampleRequest], count: int, *, seed: int, step: int) -> Tensor:
    """[B, count] float64 draws, a function of each request's key and start index alone."""
    keys = torch.tensor([[request.key] for request in requests])
    index = torch.tensor([[request.start_index] for request in requests]) + torch.arange(count)
    return randomness.uniform(seed=seed, step=step, purpose="sample", rollout=keys, index=index)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model without dropout; afterwards every module is again in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _read_weights(model: Any, source: Path) -> None:
    """Copy the weights of folder ``source`` into ``model``."""
    try:
        if (source / "adapter_config.json").exists():
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(model, load_peft_weights(str(source), device="cpu"))
        else:
            # Through a second model, since only transformers knows how its files map to its parameters.
            fresh = type(model).from_pretrained(source, use_safetensors=True)
            model.load_state_dict(fresh.state_dict())
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelError(
            "the sampler cannot take these weights",
            got=source,
            expected="a folder with model.safetensors or adapter_model.safetensors of this model",
            remedy=str(error).splitlines()[0],
        ) from error
