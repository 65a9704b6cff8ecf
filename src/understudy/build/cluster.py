"""The ranks of a run: met before anything is built where the recipe's engine is a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from understudy.engines.cluster import ClusterPolicy, Group, join
from understudy.engines.cluster.group import leave
from understudy.engines.cluster.meeting import Meeting
from understudy.errors import CapabilityError
from understudy.models.load import LoadedModel
from understudy.objectives.objective import Objective
from understudy.recipe import ClusterEngine, Recipe
from understudy.recipe.engines import Engine
from understudy.training.ranks import OneRank, Ranks
from understudy.world import SingleProcess, World


@dataclass(frozen=True)
class Gathering:
    """Who makes a run.

    Args:
        group: the ranks of a cluster; None: one process alone.
    """

    group: Group | None = None

    @property
    def ranks(self) -> Ranks:
        """What they must agree on."""
        return self.group or OneRank()

    @property
    def world(self) -> World:
        """What a plan takes over all of them."""
        return self.group or SingleProcess()

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run's folder."""
        return self.ranks.rank == 0


@contextmanager
def gathering_of(engine: Engine, device: str) -> Iterator[Gathering]:
    """The ranks that torchrun started, for a cluster; they part at the end of the block.

    Raises:
        UserMistakeError: the ranks do not come out even. RankLostError: the others cannot be met.
    """
    if not isinstance(engine, ClusterEngine):
        yield Gathering()
        return
    group = join(device, tensor_parallel=engine.tensor_parallel)
    try:
        yield Gathering(group)
    finally:
        leave()


def check_on_ranks(objective: Objective) -> None:
    """Refuse what ranks cannot do together; raises CapabilityError."""
    if objective.writing.weights == "initial":
        raise CapabilityError(
            "on a cluster nobody can write with the weights that the student began with",
            remedy="Take engine.kind: local, or another method.",
        )


class Alone:
    """The meeting of one process, which waits for nobody."""

    def __call__(self) -> None:
        """At once."""

    def close(self) -> None:
        """Nothing."""


def meeting_of(ranks: Ranks) -> Meeting | Alone:
    """Where the threads that draw on every rank wait for each other."""
    return ranks.meeting() if isinstance(ranks, Group) else Alone()


def sharded_policy(
    recipe: Recipe, engine: ClusterEngine, loaded: LoadedModel, *, group: Group, options: dict[str, object]
) -> ClusterPolicy:
    """The student over all ranks, each of which keeps a whole copy where it samples from it."""
    return ClusterPolicy(
        loaded,
        group=group,
        offload_parameters=engine.offload_parameters,
        samples_here=samples_on_ranks(recipe),
        **options,
    )


def samples_on_ranks(recipe: Recipe) -> bool:
    """Whether anything is drawn from copies on the ranks.

    Where servers draw the rollouts ahead they have older weights than are examined, so the first rank draws for that.
    """
    rollout = recipe.rollout
    return rollout.server is None or bool(rollout.overlap.max_staleness and recipe.evaluation.suites)
