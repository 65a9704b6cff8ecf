"""How long samplers ran: what of the sampling phase is left is time in which none did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from understudy.protocols import Sample, Sampler, SampleRequest, SamplingParams


class Busy:
    """Seconds in which a sampler of a run was at work, added up.

    Attributes:
        seconds: since the run began.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def idle_share(self, before: float, wall_seconds: float) -> float | None:
        """Share of ``wall_seconds`` in which no sampler ran, since ``seconds`` was ``before``; None if none did.

        >>> busy = Busy()
        >>> busy.seconds += 3.0
        >>> busy.idle_share(0.0, 4.0), busy.idle_share(3.0, 4.0)
        (0.25, None)
        """
        spent = self.seconds - before
        return max(0.0, 1 - spent / wall_seconds) if spent > 0 and wall_seconds > 0 else None


class TimedSampler:
    """Implements ``protocols.Sampler``: another one, whose time at work is added to ``busy``."""

    def __init__(self, sampler: Sampler, busy: Busy) -> None:
        self._sampler, self._busy = sampler, busy

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
        """As the sampler inside does."""
        started = time.perf_counter()
        try:
            return self._sampler.sample(requests, params, seed=seed, step=step, progress=progress, ended=ended)
        finally:
            self._busy.seconds += time.perf_counter() - started

    def load_weights(self, source: Path | None, version: int) -> None:
        """As the sampler inside does."""
        self._sampler.load_weights(source, version)
