"""What keeps a run to its number of steps, by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny_files import Workplace, make_workplace
from understudy.build.opening import opened, tied_to_steps
from understudy.errors import RunDirectoryError
from understudy.recipe import Recipe, recipe_from
from understudy.training.ranks import OneRank


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("opening"))


def recipe(place: Workplace, name: str = "run", **changes: object) -> Recipe:
    return recipe_from({**place.recipe(**changes), "name": name})


def test_a_constant_run_is_tied_by_nothing(place: Workplace) -> None:
    assert tied_to_steps(recipe(place)) == []
    warm = {"learning_rate": 0.01, "warmup_steps": 9}
    assert tied_to_steps(recipe(place, optimizer=warm, objective={"method": "tropd", "guidance_steps": 3})) == []


def test_every_field_that_ties_is_named(place: Workplace) -> None:
    overlap = {"max_staleness": 2, "steps_ahead": 1, "segment_tokens": 4}
    tied = recipe(
        place,
        objective={"method": "tropd"},
        optimizer={"schedule": "cosine"},
        rollout={"max_completion_length": 8, "overlap": overlap},
    )
    named = ["optimizer.schedule: 'cosine'", "objective.guidance_steps: null", "rollout.overlap.segment_tokens: 4"]
    assert tied_to_steps(tied) == named


def begun(place: Workplace, first: Recipe, *, done: int) -> Path:
    with opened(first, OneRank(), resume=False) as directory:
        (directory.checkpoints / f"step-{done:06d}").mkdir(parents=True)
        return directory.path


def test_an_evaluation_that_a_longer_run_would_not_have_had_does_not_count_towards_its_end(place: Workplace) -> None:
    def stopping(name: str, steps: int) -> Recipe:
        suites = place.recipe()["evaluation"]["suites"]
        evaluation = {"suites": suites, "every": 2, "stop_after": 3}
        return recipe(place, name, steps=steps, evaluation=evaluation, checkpoint={"keep_best": "words"})

    begun(place, stopping("odd", 5), done=5)
    with pytest.raises(RunDirectoryError, match=r"steps: 5 -> 8, with evaluation\.stop_after: 3"):
        opened(stopping("odd", 8), OneRank(), resume=True)
    begun(place, stopping("even", 4), done=4)
    with opened(stopping("even", 8), OneRank(), resume=True) as directory:
        assert directory.adopted is not None


def test_of_an_objective_of_the_callers_own_it_says_what_it_cannot_know(place: Workplace) -> None:
    tied = {"objective": {"method": "veto"}}
    begun(place, recipe(place, "own", **tied), done=2)
    with pytest.raises(RunDirectoryError, match=r"objective\.beta: 0\.8"):
        opened(recipe(place, "own", steps=8, **tied), OneRank(), resume=True)
    with opened(recipe(place, "own", steps=8, **tied), OneRank(), resume=True, is_own=True) as directory:
        assert "is not known here" in directory.notes[1]


def test_more_than_the_steps_changed(place: Workplace) -> None:
    run = begun(place, recipe(place, "more"), done=2)
    with pytest.raises(RunDirectoryError, match=r"differs .*seed: 3 -> 1; steps: 4 -> 8"):
        opened(recipe(place, "more", steps=8, seed=1), OneRank(), resume=True)
    assert "seed: 3" in (run / "recipe.yaml").read_text() and json.loads((run / "environment.json").read_text())
