"""The student as it was before step 0, as a sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from understudy.engines.local.policy import LocalPolicy
from understudy.errors import ModelError
from understudy.models.sampling import LocalSampler
from understudy.protocols import Sample, SampleRequest, SamplingParams


class InitialSampler:
    """Implements ``Sampler`` with the weights that a policy began with, called version 0; they never change.

    Args:
        policy: keeps its initial weights, or has adapters that can be left out.
        sampler: on the policy's module; nobody else loads weights into it.
    Raises:
        CapabilityError: the policy did not keep its initial weights.
    """

    def __init__(self, policy: LocalPolicy, sampler: LocalSampler) -> None:
        self.fingerprint = policy.scorer("initial").fingerprint
        self._policy, self._sampler = policy, sampler
        sampler.version = 0

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
        """One sample a request, in order; the live weights are back when the call returns."""
        with self._policy.under("initial"):
            return self._sampler.sample(requests, params, seed=seed, step=step, progress=progress, ended=ended)

    def load_weights(self, source: Path | None, version: int) -> None:
        """Nothing, for version 0; raises ModelError for others."""
        if source is not None or version != 0:
            raise ModelError("the initial weights do not change", got=f"version {version}", expected="version 0")
