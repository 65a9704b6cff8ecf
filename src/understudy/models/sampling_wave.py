"""One wave of completions decoded together: prompts on the left, one token a row and step, ended rows leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from understudy.errors import NonFiniteError
from understudy.models.sampling_cache import new_cache
from understudy.models.sampling_distribution import Drawn, draw
from understudy.protocols import Sample, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason

# Ended rows leave once they are 1/8 of the batch: taking them out copies the cache, about the price of a decode step.
_ENDED_SHARE = 8


class Wave:
    """The state of a batch of completions while it is decoded.

    Args:
        requests: one completion each; prompts are not empty and shorter than ``max_length``.
        params: when a completion ends, and how tokens are drawn.
        max_length: longest context in tokens. device: where the model is.
    """

    def __init__(
        self, requests: Sequence[SampleRequest], params: SamplingParams, *, max_length: int, device: torch.device
    ) -> None:
        self.params, self.device = params, device
        self.prompts = [request.prompt_ids for request in requests]
        self.prompt_lengths = torch.tensor([prompt.numel() for prompt in self.prompts], device=device)
        limits = [_limit(request, params) for request in requests]
        self.limits = (max_length - self.prompt_lengths).minimum(torch.tensor(limits, device=device))
        self.num_steps = int(self.limits.max())
        count = len(requests)
        self.ids = torch.zeros(count, self.num_steps, dtype=torch.int64, device=device)
        self.logprobs = torch.zeros(count, self.num_steps, device=device)
        self.lengths = torch.zeros(count, dtype=torch.int64, device=device)
        self.stopped = torch.zeros(count, dtype=torch.bool, device=device)
        self.rows = torch.arange(count, device=device)
        self.alive = torch.ones(count, dtype=torch.bool, device=device)
        self.num_alive = count
        self._stop_ids = torch.tensor(sorted(params.stop_ids), dtype=torch.int64, device=device)
        self._cache: Any = None
        self._mask = torch.zeros(0)

    def prefill(self, model: nn.Module) -> Tensor:
        """Read each distinct prompt once; every request gets its keys, values and logits [B, V]."""
        distinct: dict[tuple[int, ...], int] = {}
        place = [distinct.setdefault(tuple(prompt.tolist()), len(distinct)) for prompt in self.prompts]
        width = max(map(len, distinct))
        ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in distinct], device=self.device)
        lengths = torch.tensor([[len(prompt)] for prompt in distinct], device=self.device)
        position = torch.arange(width, device=self.device) - (width - lengths)
        self._cache = new_cache(model.config, width + self.num_steps)  # type: ignore[arg-type]
        logits = self._logits(model, ids, mask=position >= 0, position=position.clamp(min=0))
        rows = torch.tensor(place, device=self.device)
        if len(distinct) < len(place):
            self._cache.reorder_cache(rows)
        self._width = width
        self._mask = torch.ones(len(place), width + self.num_steps, dtype=torch.bool, device=self.device)
        self._mask[:, :width] = (position >= 0)[rows]
        return logits[rows]

    def advance(self, model: nn.Module, drawn: Tensor, index: int) -> Tensor:
        """Read the tokens ``drawn`` at step ``index`` by the rows of the batch; logits [b, V] of the rows that stay."""
        if (drawn.numel() - self.num_alive) * _ENDED_SHARE >= drawn.numel():
            drawn = drawn[self.alive]
            self._drop_ended()
        position = (self.prompt_lengths[self.rows] + index)[:, None]
        return self._logits(model, drawn[:, None], mask=self._mask[:, : self._width + index + 1], position=position)

    def _drop_ended(self) -> None:
        stay = self.alive.nonzero().squeeze(1)
        self._cache.reorder_cache(stay)
        self._mask, self.rows, self.alive = self._mask[stay], self.rows[stay], self.alive[stay]

    def _logits(self, model: nn.Module, ids: Tensor, *, mask: Tensor, position: Tensor) -> Tensor:
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def record(self, drawn: Drawn, index: int) -> int:
        """Keep what step ``index`` drew for the rows still alive; returns how many of them ended with it."""
        self.ids[self.rows, index], self.logprobs[self.rows, index] = drawn.ids, drawn.logprobs
        stopped = torch.isin(drawn.ids, self._stop_ids)
        ended = self.alive & (stopped | (self.limits[self.rows] == index + 1))
        self.alive = self.alive & ~ended
        before, self.num_alive = self.num_alive, int(self.alive.sum())
        if self.num_alive < before:
            rows = self.rows[ended]
            self.lengths[rows], self.stopped[rows] = index + 1, stopped[ended]
        return before - self.num_alive

    def samples(self, version: int) -> list[Sample]:
        """What was drawn, in the order of the requests, on the CPU."""
        ids, logprobs = self.ids.cpu(), self.logprobs.cpu()
        ends = zip(self.lengths.tolist(), self.stopped.tolist(), strict=True)
        return [
            Sample(
                completion_ids=ids[row, :length].clone(),
                logprobs=logprobs[row, :length].clone(),
                weight_version=torch.full((length,), version),
                finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
            )
            for row, (length, stopped) in enumerate(ends)
        ]


def _limit(request: SampleRequest, params: SamplingParams) -> int:
    longest = params.max_completion_length
    return longest if request.max_new_tokens is None else min(longest, request.max_new_tokens)


def decode(
    model: nn.Module,
    wave: Wave,
    *,
    vocab_size: int,
    uniform: Tensor,
    version: int,
    progress: Callable[[int], None] | None = None,
) -> list[Sample]:
    """Draw every completion of the wave.

    Args:
        model: a causal language model in evaluation mode. wave: a fresh wave.
        vocab_size: logits past it are cut. uniform: [B, num_steps] float64, the draws. version: of the weights.
        progress: told how many more completions have ended.
    Raises:
        NonFiniteError: the model's logits are NaN.
    """
    logits = wave.prefill(model)
    for index in range(wave.num_steps):
        drawn = draw(logits[:, :vocab_size].float(), uniform[wave.rows, index], wave.params)
        num_ended = wave.record(drawn, index)
        if num_ended and progress is not None:
            progress(num_ended)
        if wave.num_alive == 0:
            break
        logits = wave.advance(model, drawn.ids, index)
    if not bool(wave.logprobs.isfinite().all()):
        raise NonFiniteError(
            "the sampler's log-probabilities are not finite",
            got=f"weights version {version}",
            remedy="The weights have diverged or overflow in this dtype; go back to an earlier checkpoint.",
        )
    return wave.samples(version)
