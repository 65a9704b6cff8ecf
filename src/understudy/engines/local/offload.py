"""Frozen models that live in the CPU's memory and visit the accelerator while they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from understudy.engines.local.out_of_memory import memory_for
from understudy.engines.local.scorer import LocalScorer
from understudy.protocols import Capabilities, Sample, Sampler, SampleRequest, SamplingParams, ScoreRequest, Scores

Move = Callable[[Tensor, torch.device], Tensor]

_REMEDY = "Lower engine.micro_batch_tokens, set student.lora, or take a smaller teacher."


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=True)


class Visits:
    """A frozen model's weights at home on the CPU, in pinned memory where there is a GPU.

    They never change, so leaving the accelerator is no copy: what is there is forgotten. On the CPU nothing moves.

    Args:
        model: frozen, on the CPU. device: where it is used. move: copies a tensor to a device.
    """

    def __init__(self, model: nn.Module, device: torch.device, *, move: Move = _moved) -> None:
        self.device = device
        self._move, self._depth = move, 0
        self._tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
        self._home = [_pinned(tensor.data) if device.type == "cuda" else tensor.data for tensor in self._tensors]
        self._leave()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Within the block, which may hold others, the weights are on the device.

        Raises:
            MemoryExhaustedError: they do not fit there beside what there is; none of them stays then.
        """
        self._depth += 1
        try:
            if self._depth == 1:
                self._arrive()
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._leave()

    def _arrive(self) -> None:
        with memory_for("a frozen model that visits the device", remedy=_REMEDY):
            for tensor, home in zip(self._tensors, self._home, strict=True):
                tensor.data = self._move(home, self.device)

    def _leave(self) -> None:
        for tensor, home in zip(self._tensors, self._home, strict=True):
            tensor.data = home


def _pinned(tensor: Tensor) -> Tensor:
    return tensor.pin_memory()


_VISITS: WeakKeyDictionary[nn.Module, Visits] = WeakKeyDictionary()


def visits_of(model: nn.Module, device: torch.device) -> Visits:
    """The visits of a model: one for all who use it, so that none takes the weights away from another."""
    if model not in _VISITS:
        _VISITS[model] = Visits(model, device)
    return _VISITS[model]


class VisitingScorer:
    """Implements ``Scorer``: a ``LocalScorer`` whose model is on the device while it scores.

    Args:
        scorer: of a frozen model. visits: of that model.
    """

    def __init__(self, scorer: LocalScorer, visits: Visits) -> None:
        self.scorer, self._visits = scorer, visits

    @property
    def capabilities(self) -> Capabilities:
        """The scorer's."""
        return self.scorer.capabilities

    @property
    def fingerprint(self) -> str:
        """The scorer's."""
        return self.scorer.fingerprint

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order; with hidden states a copy of the head stays on the device."""
        with self._visits.here():
            scores = self.scorer.score(request)
            return replace(scores, project=self.scorer.head.frozen()) if request.hidden else scores


class VisitingSampler:
    """Implements ``Sampler``: a sampler whose model is on the device while it samples.

    Args:
        sampler: on a frozen model. visits: of that model.
    """

    def __init__(self, sampler: Sampler, visits: Visits) -> None:
        self._sampler, self._visits = sampler, visits

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
        """One sample a request, in order."""
        with self._visits.here():
            return self._sampler.sample(requests, params, seed=seed, step=step, progress=progress, ended=ended)

    def load_weights(self, source: Path | None, version: int) -> None:
        """As the sampler does it."""
        self._sampler.load_weights(source, version)
