"""In which order an epoch goes through the training set: one data set, or a mixture of several by their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil

import numpy as np

from understudy.errors import RecipeError
from understudy.randomness import permutation

_STRETCHED = 1_000_000
"""Prompts that a small share may stretch an epoch to; ordered, each takes some hundred bytes."""

Order = Callable[[int], Sequence[int]]
"""epoch -> indices into the tasks; every epoch is as long as the first."""


def one_set(count: int, *, seed: int, shuffle: bool) -> Order:
    """Every task once an epoch, in an order of its own, or always as they stand."""

    @lru_cache(maxsize=3)
    def order(epoch: int) -> Sequence[int]:
        return permutation(count, seed=seed, purpose="data", epoch=epoch) if shuffle else range(count)

    return order


def mixture(counts: Sequence[int], weights: Sequence[float], *, seed: int, shuffle: bool) -> Order:
    """Each epoch takes from every set its share by weight, and goes on in a set where the epoch before left off.

    So a small set with a large weight is gone through several times an epoch, a large one with a small weight only in
    part, and no task comes again before all others of its set did. An epoch is as long as all sets together, or longer
    where a share would round to nothing.

    Args:
        counts: tasks of each set, which stand one set after the other. weights: shares in proportion.
        shuffle: each pass through a set, and each epoch's order, is drawn anew; without it sets take turns evenly.
    """
    quotas = quotas_of(counts, weights)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])

    @lru_cache(maxsize=3)
    def order(epoch: int) -> Sequence[int]:
        chosen, places = [], []
        for number, (count, quota) in enumerate(zip(counts, quotas, strict=True)):
            stream = np.arange(epoch * quota, (epoch + 1) * quota)
            chosen.append(starts[number] + _along(stream, count, seed=seed, purpose=f"data/{number}", shuffle=shuffle))
            places.append((np.arange(quota) + 0.5) / quota)
        together = np.concatenate(chosen)
        if shuffle:
            return together[permutation(len(together), seed=seed, purpose="mixture", epoch=epoch)].tolist()
        return together[np.argsort(np.concatenate(places), kind="stable")].tolist()

    return order


def quotas_of(counts: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How many prompts of each set an epoch has: shares by weight, rounded so that all together make the epoch.

    Raises:
        RecipeError: a weight is so small beside the others that an epoch would have millions of prompts for its one.

    >>> quotas_of([100, 10], [1.0, 1.0]), quotas_of([2, 2], [1.0, 9.0])
    ([55, 55], [1, 9])
    """
    with np.errstate(over="ignore"):  # weights whose sum is endless leave shares of 0
        shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    least = 1 / max(sum(counts), _STRETCHED)
    if shares.min() < least:
        raise RecipeError(
            "the weights of the data sets are too far apart to mix",
            got=f"a share of {shares.min():.3g}",
            expected=f"each at least {least:.3g} of all together",
            remedy="Raise the smallest weight, or leave that data set out.",
        )
    length = max(sum(counts), ceil(1 / shares.min() - 1e-9))
    exact = shares * length
    quotas = np.maximum(np.floor(exact + 1e-9).astype(int), 1)
    for number in np.argsort(quotas - exact, kind="stable")[: max(0, length - quotas.sum())]:
        quotas[number] += 1
    return quotas.tolist()


def _along(stream: np.ndarray, count: int, *, seed: int, purpose: str, shuffle: bool) -> np.ndarray:
    """The tasks at these places of an endless stream, which goes through all of a set and then begins again."""
    passes, places = np.divmod(stream, count)
    if not shuffle:
        return places
    found = np.empty_like(places)
    for number in np.unique(passes):
        here = passes == number
        ordered = np.asarray(permutation(count, seed=seed, purpose=purpose, epoch=int(number)))
        found[here] = ordered[places[here]]
    return found
