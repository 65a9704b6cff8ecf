"""How much of a student one rank of a cluster holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from understudy.engines.cluster.group import place_of
from understudy.models.memory import BYTES, ModelSize, Precision
from understudy.recipe import ClusterEngine, Recipe

# Layers that are gathered at one time: the one at work, the next, and the gradient of one.
_LAYERS = 3


@dataclass(frozen=True)
class Cut:
    """Over how many ranks a student is cut; over none by default.

    Args:
        ranks: of the run. peers: neighbours that divide each layer's products. here: ranks on this machine.
        is_cluster: it is gathered for its passes, and whole copies are kept beside it.
    """

    ranks: int = 1
    peers: int = 1
    here: int = 1
    is_cluster: bool = False

    def share(self, size: ModelSize) -> int:
        """Weights of one rank. Embeddings and head are whole on each peer, and shared by those who hold the same."""
        outer = _outer(size)
        return -(-(size.num_parameters - outer) // self.ranks) - (-outer * self.peers // self.ranks)

    def adapters_share(self, weights: int) -> int:
        """Of so many weights of adapters; one factor of each is whole on each peer."""
        return -(-weights * (1 + self.peers) // (2 * self.ranks))

    def gathered(self, size: ModelSize, precision: Precision) -> int:
        """Bytes of what is whole, or a peer's part, for a pass: layers come and go, embeddings and head stay."""
        if not self.is_cluster:
            return 0
        layer = (size.num_parameters - _outer(size)) // size.num_layers
        return _LAYERS * BYTES[precision] * layer // self.peers + 4 * _outer(size)


def cut_of(recipe: Recipe, environment: Mapping[str, str] | None = None) -> Cut:
    """As the recipe's engine and torchrun's variables say, of which ``WORLD_SIZE`` alone will do.

    Raises:
        UserMistakeError: the variables contradict each other.
    """
    if not isinstance(recipe.engine, ClusterEngine):
        return Cut()
    environment = os.environ if environment is None else environment
    place = place_of(environment)
    here = int(environment.get("LOCAL_WORLD_SIZE", place.size))
    return Cut(place.size, recipe.engine.tensor_parallel, here, is_cluster=True)


def _outer(size: ModelSize) -> int:
    """Weights outside the layers: one table of embeddings, or two."""
    table = size.vocab_size * size.width
    inside = 2 * size.width * (size.query + size.key) + 3 * size.width * size.inner
    return min(size.num_parameters, max(table, min(size.num_parameters - size.num_layers * inside, 2 * table)))
