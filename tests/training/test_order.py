"""In which order an epoch goes through a mixture: shares hold exactly, nothing comes twice before all came once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import RecipeError
from understudy.protocols import Task
from understudy.training.collecting import Collector
from understudy.training.order import mixture, one_set, quotas_of


def sets_of(indices: list[int], counts: list[int]) -> list[int]:
    """Which set each index belongs to."""
    ends = [sum(counts[: number + 1]) for number in range(len(counts))]
    return [next(number for number, end in enumerate(ends) if index < end) for index in indices]


@pytest.mark.parametrize("shuffle", [True, False])
def test_small_sets_are_sampled_up_and_large_ones_down(shuffle: bool) -> None:
    counts = [90, 10]
    order = mixture(counts, [1, 1], seed=3, shuffle=shuffle)
    epochs = [list(order(epoch)) for epoch in range(9)]
    for epoch in epochs:
        assert Counter(sets_of(epoch, counts)) == {0: 50, 1: 50}
        assert set(Counter(index for index in epoch if index >= 90).values()) == {5}  # each of ten, five times
    large = [index for epoch in epochs for index in epoch if index < 90]
    assert set(Counter(large).values()) == {5}  # 450 draws: every one of ninety, five times over nine epochs
    assert len({index for index in epochs[0] if index < 90}) == 50  # and none twice in the first


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    seed=st.integers(0, 2**40),
    shuffle=st.booleans(),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_no_task_comes_again_before_all_others_of_its_set(
    counts: list[int], seed: int, shuffle: bool, data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.05, 20), min_size=len(counts), max_size=len(counts)))
    order = mixture(counts, weights, seed=seed, shuffle=shuffle)
    quotas = quotas_of(counts, weights)
    stream = [index for epoch in range(3) for index in order(epoch)]
    assert len(stream) == 3 * sum(quotas) and min(quotas) >= 1
    belongs = sets_of(stream, counts)
    for number, count in enumerate(counts):
        uses = Counter(index for index, one in zip(stream, belongs, strict=True) if one == number)
        assert sum(uses.values()) == 3 * quotas[number]
        times = [uses[index] for index in range(sum(counts[:number]), sum(counts[:number]) + count)]
        assert max(times) - min(times) <= 1
    assert [list(order(epoch)) for epoch in (2, 0)] == [
        list(mixture(counts, weights, seed=seed, shuffle=shuffle)(epoch)) for epoch in (2, 0)
    ]


@given(counts=st.lists(st.integers(1, 500), min_size=2, max_size=6), data=st.data())
@settings(deadline=None)
def test_shares_are_the_weights_to_the_nearest_prompt(counts: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 100), min_size=len(counts), max_size=len(counts)))
    quotas = quotas_of(counts, weights)
    length = sum(quotas)
    assert length >= sum(counts)
    for quota, weight in zip(quotas, weights, strict=True):
        assert abs(quota - length * weight / sum(weights)) < 1 + 1e-6


@pytest.mark.parametrize("weights", [[1, 1e-9], [5e-324, 1], [1e308, 1e308]])
def test_weights_that_are_too_far_apart_are_refused(weights: list[float]) -> None:
    with pytest.raises(RecipeError, match="too far apart"):
        quotas_of([10, 10], weights)
    assert quotas_of([10, 10], [1, 1e-5]) == [100000, 1]


def test_without_shuffling_the_sets_take_turns_in_their_own_order() -> None:
    assert list(mixture([4, 2], [2, 1], seed=0, shuffle=False)(0)) == [0, 4, 1, 2, 5, 3]
    assert list(mixture([2, 2], [1, 1], seed=0, shuffle=False)(1)) == [0, 2, 1, 3]


def test_seeds_and_epochs_differ() -> None:
    first, other = (mixture([50, 50], [1, 1], seed=seed, shuffle=True) for seed in (0, 1))
    assert list(first(0)) != list(first(1)) and list(first(0)) != list(other(0))
    assert list(one_set(50, seed=0, shuffle=True)(0)) != list(one_set(50, seed=0, shuffle=True)(1))


def test_a_collector_follows_the_order_of_a_mixture_from_any_step() -> None:
    tasks = [Task(f"a{n}", "", domain="a") for n in range(30)] + [Task(f"b{n}", "", domain="b") for n in range(3)]
    order = mixture([30, 3], [1, 2], seed=5, shuffle=True)
    collect = Collector(tasks, 5, 4, 1, order=order)
    steps = [collect.tasks_of(step) for step in range(33)]
    stream = [tasks[index] for epoch in range(4) for index in order(epoch)]
    assert [task for step in steps for task in step] == stream[: 4 * 33]
    assert Counter(task.domain for task in stream) == {"a": 44, "b": 88}
    assert Collector(tasks, 5, 4, 1, order=mixture([30, 3], [1, 2], seed=5, shuffle=True)).tasks_of(20) == steps[20]
