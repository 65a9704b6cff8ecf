"""The model that a policy trains, as others must know it."""

from __future__ import annotations

from understudy.models.load import LoadedModel


class TrainedModel:
    """What every engine's policy says of its model in the same way.

    Attributes:
        loaded: the model as it was before step 0. updates: optimiser steps since.
    """

    loaded: LoadedModel
    updates: int

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end a completion."""
        return self.loaded.stop_ids

    @property
    def max_length(self) -> int:
        """Longest context in tokens."""
        return self.loaded.max_length

    @property
    def vocab_size(self) -> int:
        """True vocabulary."""
        return self.loaded.vocab_size

    @property
    def fingerprint(self) -> str:
        """The start's fingerprint and the number of updates since."""
        return f"{self.loaded.fingerprint}+{self.updates}"
