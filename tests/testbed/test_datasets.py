"""Data sets by name: their splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from understudy.errors import DataError
from understudy.protocols import Task
from understudy.recipe import Source
from understudy.tasks import gold_completion, verifier_from
from understudy.testbed.datasets import DATASETS, DataSet, dataset_named, ground_of, tasks
from understudy.testbed.multiplication import Split


@pytest.mark.parametrize("name", DATASETS)
def test_validation_is_neither_trained_on_nor_evaluated(name: str) -> None:
    train, held_out, validation = (
        [task.problem for task in tasks(name, split, limit=limit)]
        for split, limit in (("train", 500), ("eval", None), ("validation", 60))
    )
    assert len(set(held_out)) == 1000 and len(set(validation)) == 60
    assert not set(validation) & (set(train) | set(held_out))
    assert not set(train) & set(held_out)
    assert [task.problem for task in tasks(name, "validation", limit=7)] == validation[:7]


def test_a_data_set_of_few_problems_gives_as_many_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(split: Split) -> Iterator[Task]:
        assert split == "eval"
        yield from (Task(str(index * index % 2203), "") for index in count())  # 2203 is a prime: 1,102 squares

    monkeypatch.setitem(dict_of_datasets(), "testbed/few", replace(DATASETS["testbed/sorting"], draw=draw))
    assert len(tasks("testbed/few", "eval")) == 1000
    assert len(tasks("testbed/few", "validation")) == 102


def dict_of_datasets() -> dict[str, DataSet]:
    assert isinstance(DATASETS, dict)
    return DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_its_own_solutions_are_right(name: str) -> None:
    dataset = dataset_named(name)
    verify = verifier_from(dataset.verifier, None)
    assert verify is not None
    for task in tasks(name, limit=40):
        assert task.domain == name
        gold = gold_completion(Source(dataset=name), task)
        assert verify(gold, task.columns).correct and not verify(f"{gold}1", task.columns).correct


def test_unknown_names_are_the_users_mistake() -> None:
    with pytest.raises(DataError, match=r"testbed/nothing.*testbed/sorting"):
        dataset_named("testbed/nothing")
    with pytest.raises(DataError, match="no such testbed data set"):
        ground_of("testbed/nothing")
