"""The local sampler: batched decoding of any Hugging Face causal language model, every draw keyed by its rollout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from understudy.errors import MemoryExhaustedError, ModelError, first_line
from understudy.models.allocation import is_out_of_memory
from understudy.models.decode_step import step_of
from understudy.models.sampling_check import check_decoding
from understudy.models.sampling_decode import decode, seating
from understudy.models.sampling_distribution import check_params
from understudy.models.sampling_memory import default_budget, rows_that_fit
from understudy.models.sampling_room import room_for
from understudy.models.sampling_slots import Forward
from understudy.models.sampling_work import Work
from understudy.protocols import Sample, SampleRequest, SamplingParams

_log = logging.getLogger(__name__)

# Parameters from which on bfloat16 products pay for their casts in a decoding step on a CPU: with 0.85 M they take 1.6
# times as long as float32, with 11 M three quarters (docs/performance.md).
_WORTH_AUTOCAST = 1 << 22


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
        autocast_dtype: dtype of matrix products; None for the model's own. A small model on a CPU keeps its own, in
            which it is faster and more exact.
        max_batch_rows: completions decoded together, at most; fewer where memory says so.
        max_cache_bytes: for keys, values, states and logits; None for a share of what is free when sampling begins.
        notice: told when memory ran out and fewer completions are decoded together from then on.
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
        max_cache_bytes: int | None = None,
        notice: Callable[[str], None] = _log.warning,
    ) -> None:
        self.model, self.vocab_size, self.max_length, self.version = model, vocab_size, max_length, version
        self.device, self.autocast_dtype, self.max_batch_rows = torch.device(device), autocast_dtype, max_batch_rows
        self.max_cache_bytes, self._notice = max_cache_bytes, notice
        self._is_checked = False

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
        """One sample a request, in order; ``progress`` is told how many more have ended, ``ended`` which and what.

        Raises:
            ContextLengthError: a prompt leaves no room for a token. DataError: a prompt is empty.
            RecipeError: a parameter is out of range. NonFiniteError: the model's logits are not numbers.
            ModelError: the architecture does not decode what it reads (``check_decoding``).
        """
        check_params(params)
        for request in requests:
            room_for(request, params, max_length=self.max_length)
        work = Work(requests, params, seed=seed, step=step, max_length=self.max_length)
        told = _Told(progress, ended)
        # no_grad, not inference_mode: what a shared model caches here (rotary tables) must stay fit for training.
        with _evaluating(self.model), torch.no_grad(), self._autocast():
            self._decode(work, told)
        return [told.samples[place] for place in range(len(requests))]

    def _decode(self, work: Work, told: _Told) -> None:
        """Draw all; while memory runs out, what has not ended yet is drawn again in half as many rows."""
        rows = self._rows_for(work)
        forward = step_of(self.model, num_steps=work.num_steps, length=work.longest)
        while waiting := [place for place in work.order() if place not in told.samples]:
            reason = self._attempt(work, waiting, forward=forward, rows=rows, told=told)
            if reason is None:
                return
            # Here, outside the handler: its traceback held the cache.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            rows = self._halved(min(rows, len(waiting)), reason)

    def _rows_for(self, work: Work) -> int:
        budget = default_budget(self.device) if self.max_cache_bytes is None else self.max_cache_bytes
        return rows_that_fit(
            self.model.config,  # type: ignore[arg-type]
            rows=self.max_batch_rows,
            length=work.longest,
            dtype=next(self.model.parameters()).dtype,
            vocab_size=self.vocab_size,
            max_bytes=budget if work.requests else None,
        )

    def _attempt(self, work: Work, places: Sequence[int], *, forward: Forward, rows: int, told: _Told) -> str | None:
        """Draw the completions at ``places``; why memory ran out, where it did."""
        try:
            if not self._is_checked:
                check_decoding(self.model, vocab_size=self.vocab_size)
                self._is_checked = True
            decode(
                self.model,
                work,
                places,
                forward=forward,
                how=seating(len(places), rows, ends_vary=work.ends_vary),
                vocab_size=self.vocab_size,
                device=self.device,
                version=self.version,
                told=told,
            )
        except (RuntimeError, MemoryError) as error:
            if told.telling or not is_out_of_memory(error):
                raise
            return first_line(error)
        return None

    def _halved(self, rows: int, reason: str) -> int:
        if rows == 1:
            raise MemoryExhaustedError(
                "memory ran out while one completion was sampled alone",
                got=reason,
                remedy="Free memory, lower rollout.max_completion_length, or take a smaller model.",
            )
        self.max_batch_rows = rows // 2
        self._notice(
            f"Memory ran out while {rows} completions were sampled side by side; sampling goes on with "
            f"{self.max_batch_rows}, with the same draws."
        )
        return self.max_batch_rows

    def load_weights(self, source: Path | None, version: int) -> None:
        """Take the weights in folder ``source`` (Hugging Face form, or a PEFT adapter; None: shared in memory).

        Raises:
            ModelError: the folder holds neither, or not those of this model.
        """
        if source is not None:
            _read_weights(self.model, source)
        self.version = version

    def _autocast(self) -> Any:
        small = self.device.type == "cpu" and sum(p.numel() for p in self.model.parameters()) < _WORTH_AUTOCAST
        if self.autocast_dtype is None or small:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)


class _Told:
    """What has ended so far, and word of it to those who asked."""

    def __init__(self, progress: Callable[[int], None] | None, ended: Callable[[int, Sample], None] | None) -> None:
        self.samples: dict[int, Sample] = {}
        self.telling = False
        self._progress, self._ended = progress, ended

    def __call__(self, made: Sequence[tuple[int, Sample]]) -> None:
        self.samples.update(made)
        # What a listener raises is the listener's: memory that it lacks is no reason to sample again.
        self.telling = True
        if self._progress is not None:
            self._progress(len(made))
        if self._ended is not None:
            for place, sample in made:
                self._ended(place, sample)
        self.telling = False


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
            from understudy.models.adapters import read_adapter

            read_adapter(model, source)
        else:
            # Through a second model, since only transformers knows how its files map to its parameters.
            fresh, report = type(model).from_pretrained(source, use_safetensors=True, output_loading_info=True)
            if report["missing_keys"]:
                raise KeyError(f"no {sorted(report['missing_keys'])[0]}")
            model.load_state_dict(fresh.state_dict())
    except ModelError:
        raise
    except Exception as error:  # of transformers, PEFT and safetensors, whose kinds of errors are many
        raise ModelError(
            "the sampler cannot take these weights",
            got=source,
            expected="a folder with model.safetensors or adapter_model.safetensors of this model",
            remedy=first_line(error),
        ) from error
