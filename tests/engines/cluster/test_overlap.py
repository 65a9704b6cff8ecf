"""Steps drawn ahead on two ranks: the figures of one process, also after a kill, and with servers that sample."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.engines.cluster.copies import tell_copies
from tests.engines.cluster.on_ranks import command, on_ranks, started
from tests.serving.served import served_model
from tests.tiny_files import Workplace, make_workplace, metrics_of
from understudy.training import metric_lines
from understudy.training.progress import Silent
from understudy.training.rollout_files import read

pytestmark = pytest.mark.timeout(300)

STEPS = 4
QUIET: dict[str, Any] = {"evaluation": {"suites": []}, "checkpoint": {"every": 100}, "steps": STEPS}
ROLLOUT = {"prompts_per_step": 4, "num_generations": 2, "max_completion_length": 8}
AHEAD = {"max_staleness": 1}
CARRIED = {"max_staleness": 3, "steps_ahead": 1, "segment_tokens": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("ahead"))


def sections(overlap: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**QUIET, "rollout": {**ROLLOUT, "overlap": overlap, **more}}


def on_two_ranks(place: Workplace, name: str, *more: str, **changes: Any) -> Path:
    recipe = place.write_recipe(f"{name}.yaml", name=name, engine={"kind": "cluster"}, **changes)
    on_ranks(command, 2, ["train", str(recipe), *more], place.path / f"log-{name}")
    return place.path / "runs" / name


def alone(place: Workplace, name: str, **changes: Any) -> Path:
    us.train(place.write_recipe(f"{name}.yaml", name=name, **changes), display=Silent())
    return place.path / "runs" / name


def assert_alike(mine: Path, theirs: Path, *, within: float = 1e-5) -> None:
    """Every figure of every step."""
    lines, others = metrics_of(mine), metrics_of(theirs)
    assert len(lines) == len(others) == STEPS
    for line, other in zip(lines, others, strict=True):
        assert line.keys() == other.keys()
        for name, value in line.items():
            theirs_too = other[name]
            if value is None or theirs_too is None:
                assert value is theirs_too, name
            else:
                assert math.isclose(value, theirs_too, rel_tol=within, abs_tol=within), (name, value, theirs_too)


def rollouts_of(run: Path) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Every rollout that a run has learned from: problem, tokens, and the weights that drew them."""
    found = []
    for file in sorted((run / "rollouts").glob("*.parquet")):
        for one in read(file):
            turn = one.turns[0]
            found.append((one.problem, tuple(turn.completion_ids.tolist()), tuple(turn.weight_version.tolist())))
    return sorted(found)


@pytest.mark.parametrize("overlap", [AHEAD, CARRIED], ids=["ahead", "carried"])
def test_two_ranks_draw_ahead_as_one_process_does(place: Workplace, overlap: dict[str, Any]) -> None:
    name = "carried" if "segment_tokens" in overlap else "ahead"
    one = alone(place, f"one-{name}", **sections(overlap))
    two = on_two_ranks(place, f"two-{name}", **sections(overlap))
    assert_alike(two, one)
    assert rollouts_of(two) == rollouts_of(one)
    lines = metrics_of(two)
    assert lines[-1]["staleness/max"] >= 1
    if overlap is CARRIED:
        assert lines[0]["rollouts/carried"] > 0 and lines[-1]["rollouts/carried"] == 0


def test_a_rank_that_is_killed_costs_no_rollout_that_was_under_way(place: Workplace) -> None:
    """What was drawn ahead is drawn again by other weights, so the tokens differ: every attempt is made once."""
    changes = {**sections(CARRIED), "checkpoint": {"every": 1}}
    recipe = place.write_recipe("cut.yaml", name="cut", engine={"kind": "cluster"}, **changes)
    run, arguments = place.path / "runs" / "cut", ["train", str(recipe)]
    ranks = started(command, 2, arguments, place.path / "log-cut")
    while not (run / "checkpoints" / "step-000002").exists():
        assert all(rank.is_alive() for rank in ranks)
        time.sleep(0.005)
    ranks[1].kill()
    for rank in ranks:
        rank.join(timeout=60)
        assert rank.exitcode not in (0, None)
    assert len(metrics_of(run)) < STEPS
    on_ranks(command, 2, [*arguments, "--resume"], place.path / "log-resumed")
    whole = alone(place, "uncut", **changes)
    assert [problem for problem, *_ in rollouts_of(run)] == [problem for problem, *_ in rollouts_of(whole)]
    lines = metric_lines.read(run / "metrics.jsonl")
    assert [metric_lines.step_of(line) for line in lines] == list(range(STEPS))


@pytest.fixture
def server(place: Workplace) -> Iterator[str]:
    with served_model(place.path / "student", allow_updates=True) as url:
        yield url


@pytest.mark.parametrize("weights", ["disk", "group"])
def test_a_server_that_draws_ahead_for_two_ranks_draws_as_one_process_does(
    place: Workplace, server: str, weights: str
) -> None:
    one = alone(place, f"one-{weights}", **sections(AHEAD))
    two = on_two_ranks(place, f"two-{weights}", **sections(AHEAD, server=[server], weights=weights))
    assert_alike(two, one, within=2e-4)
    assert rollouts_of(two) == rollouts_of(one)


@pytest.mark.parametrize("is_served", [True, False], ids=["on a server", "on the ranks"])
def test_ranks_that_sample_nothing_keep_no_whole_copy(place: Workplace, server: str, *, is_served: bool) -> None:
    more = {"server": server} if is_served else {}
    changes = {**QUIET, "rollout": {**ROLLOUT, **more}, "objective": {"method": "sft"}, "teacher": None}
    name = f"copies-{is_served}"
    recipe = place.write_recipe(f"{name}.yaml", name=name, engine={"kind": "cluster"}, **changes)
    on_ranks(tell_copies, 2, str(recipe), str(place.path / name))
    first, second = (json.loads((place.path / f"{name}-{rank}").read_text()) for rank in (0, 1))
    assert first["bytes"] > 1.4 * first["student"], "half of it, and a whole copy from which the model is written"
    if is_served:
        assert second["bytes"] < 0.6 * second["student"]
    else:
        assert second["bytes"] > 1.4 * second["student"]
