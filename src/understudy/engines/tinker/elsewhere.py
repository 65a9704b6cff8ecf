"""What stands where a module of this process would, for a student whose weights are on the service."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from understudy.engines.tinker.sampler import TinkerSampler


class Elsewhere(nn.Module):
    """A module without weights that knows who draws for it.

    Args:
        sampler: makes a sampler of the student's weights.
    """

    def __init__(self, sampler: Callable[[], TinkerSampler]) -> None:
        super().__init__()
        self.sampler = sampler
