"""Dropout of adapters, the only randomness inside an update, keyed so that it does not depend on micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from understudy import randomness
from understudy.engines.local.shares import Share
from understudy.models.adapters import LoraSettings


@dataclass(frozen=True)
class Columns:
    """Which of an adapter's inputs its dropout is given, where others have the rest (attribute ``columns`` of it).

    Args:
        index, count: of the equal parts of the whole.
    """

    index: int
    count: int

    def of(self, whole: Tensor) -> Tensor:
        """This part of the last axis."""
        return whole.chunk(self.count, -1)[self.index]


@contextmanager
def dropout_mode(
    model: nn.Module, lora: LoraSettings | None, *, seed: int, update: int
) -> Iterator[Callable[[Share], None]]:
    """Within the block the adapters' dropout is on; the model's own stays off.

    The student must be the same distribution when it samples, is scored, and learns; so the base model never drops.
    What an adapter drops of a context depends on (seed, update, adapter, context) alone: not on the contexts beside
    it, and a layer that is computed again drops the same. Only in an adapted head it depends on the share.

    Yields:
        To be told each share before it goes through the model, and its backward pass.
    """
    if lora is None or lora.dropout == 0:
        yield lambda _: None
        return
    modules = dict(model.named_modules())
    names = [name for name, module in modules.items() if isinstance(module, nn.Dropout) and "lora_dropout" in name]
    draws = _Draws(seed=seed, update=update, probability=lora.dropout, num_adapters=len(names))
    hooks = [modules[name].register_forward_hook(draws.hook(number)) for number, name in enumerate(names)]
    try:
        yield draws.begin
    finally:
        for hook in hooks:
            hook.remove()


class _Draws:
    """Which inputs the adapters drop in the present share."""

    def __init__(self, *, seed: int, update: int, probability: float, num_adapters: int) -> None:
        self._seed, self._update, self._keep = seed, update, 1.0 - probability
        self._adapters = torch.arange(num_adapters)[:, None]
        self._share: Share | None = None
        self._words: list[list[int]] = []
        self._streams: dict[int, torch.Generator] = {}

    def begin(self, share: Share) -> None:
        """From now on this share goes through the model."""
        contexts = torch.tensor([[span.context for span in share.spans] or [0]])
        words = randomness.bits(
            seed=self._seed, step=self._update, purpose="dropout", rollout=contexts, index=self._adapters
        )
        self._share, self._words, self._streams = share, (words >> np.uint64(1)).tolist(), {}

    def hook(self, adapter: int) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        """A forward hook of an identity: its output with the dropped elements zero and the others scaled up."""

        def drop(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            assert self._share is not None
            is_grid = output.shape[:-1] == self._share.batch.ids.shape
            columns: Columns | None = getattr(module, "columns", None)
            width = output.shape[-1] * (1 if columns is None else columns.count)
            shape = (*output.shape[:-1], width)
            kept = (self._kept if is_grid else self._kept_in_turn)(adapter, shape, output.device)
            kept = kept if columns is None else columns.of(kept)
            return output * kept.to(output.dtype).div_(self._keep)

        return drop

    def _kept(self, adapter: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """[B, L, W] float32, 1 where an element stays; every context's part is drawn on its own."""
        assert self._share is not None
        kept = torch.ones(shape, device=device)
        flat, generator = kept.view(-1, shape[-1]), torch.Generator(device)
        for span, word in zip(self._share.spans, self._words[adapter], strict=False):
            generator.manual_seed(word)
            flat[span.start : span.start + span.length].bernoulli_(self._keep, generator=generator)
        return kept

    def _kept_in_turn(self, adapter: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """The same where rows are not the share's tokens, as in an adapted head: drawn call after call."""
        if adapter not in self._streams:
            self._streams[adapter] = torch.Generator(device).manual_seed(self._words[adapter][0])
        return torch.empty(shape, device=device).bernoulli_(self._keep, generator=self._streams[adapter])
