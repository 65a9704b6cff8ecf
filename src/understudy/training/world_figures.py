"""What worlds say of their episodes, as figures of a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from understudy.environments.agents import TALLY
from understudy.rollouts import Rollout
from understudy.training.pooling import mean


def world_figures(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Means over rollouts of the figures that their worlds named as metrics are named: ``group/name``.

    A world's other figures stay with the rollout. One that only some rollouts have is the mean over these.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        for name, value in _world_of(rollout).items():
            if "/" in name and isinstance(value, float | int):
                found[name].append(float(value))
    return {name: mean(values) for name, values in found.items()}


def _world_of(rollout: Rollout) -> Mapping[str, object]:
    tally = rollout.extra.get(TALLY)
    world = tally.get("world") if isinstance(tally, Mapping) else None
    return world if isinstance(world, Mapping) else {}
