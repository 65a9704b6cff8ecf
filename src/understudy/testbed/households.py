"""The household's games as testbed data sets, of full size and tiny."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from understudy.environments import household
from understudy.protocols import Task
from understudy.testbed import tiny_household

DATASETS: Mapping[str, Callable[[household.Split, int], list[Task]]] = {
    "testbed/household": household.tasks,
    "testbed/household-tiny": household.tiny_household_tasks,
}
_SPLITS: Mapping[str, tuple[household.Split, int]] = {
    "train": ("train", 4096),
    "eval": ("valid_unseen", 1000),
    "test": ("valid_unseen", 1000),
    "validation": ("valid_seen", 500),
    "valid_seen": ("valid_seen", 500),
    "valid_unseen": ("valid_unseen", 1000),
}
"""The household's own split, and how many games of it: evaluation is on unseen ones, the choice of settings on seen."""
SPLITS = tuple(_SPLITS)


@lru_cache(maxsize=16)
def games(name: str, split: str, limit: int | None) -> tuple[Task, ...]:
    """The games of a split, the first ``limit`` of them; both names exist."""
    own, most = _SPLITS[split]
    drawn = DATASETS[name](own, most if limit is None else min(limit, most))
    if name != tiny_household.DATASET:
        return tuple(drawn)
    return tuple(tiny_household.with_skill(task) for task in drawn)
