"""A sampler that draws a part of a completion: what has not ended then is gone on with later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from understudy.protocols import Sample, Sampler, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason


class SegmentSampler:
    """Implements ``protocols.Sampler``: another one, with at most ``most`` new tokens a completion.

    Attributes:
        most: None draws each to its end. cut: samples of the last call that have not ended, by key.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.most: int | None = None
        self.cut: dict[int, Sample] = {}

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
        """As the sampler inside does; ``ended`` is not told of what has not ended."""
        limits = [self._limit(request, params) for request in requests]
        limited = [replace(one, max_new_tokens=most) for one, most in zip(requests, limits, strict=True)]

        def has_ended(place: int, sample: Sample) -> bool:
            if sample.finish_reason is not FinishReason.LENGTH or sample.completion_ids.numel() < limits[place]:
                return True
            return limits[place] == (requests[place].max_new_tokens or params.max_completion_length)

        def tell(place: int, sample: Sample) -> None:
            if ended is not None and has_ended(place, sample):
                ended(place, sample)

        told = None if ended is None else tell
        samples = self._sampler.sample(limited, params, seed=seed, step=step, progress=progress, ended=told)
        pairs = enumerate(samples)
        self.cut = {requests[place].key: sample for place, sample in pairs if not has_ended(place, sample)}
        return samples

    def load_weights(self, source: Path | None, version: int) -> None:
        """As the sampler inside does."""
        self._sampler.load_weights(source, version)

    def _limit(self, request: SampleRequest, params: SamplingParams) -> int:
        longest = request.max_new_tokens or params.max_completion_length
        return longest if self.most is None else min(longest, self.most)
