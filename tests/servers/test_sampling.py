"""A run whose rollouts are drawn on servers, or ahead of their step: what it must share with one that does neither."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.serving.served import served_model
from tests.tiny_files import Workplace, make_workplace, metrics_of, save_model
from understudy.errors import RecipeError, ServerDownError, TokenizerMismatchError
from understudy.models import products
from understudy.training import metric_lines
from understudy.training.progress import Silent
from understudy.training.rollout_files import read

pytestmark = pytest.mark.timeout(300)

QUIET: dict[str, Any] = {"evaluation": {"suites": [], "teacher": False}, "checkpoint": {"every": 100}, "steps": 4}
ROLLOUT = {"prompts_per_step": 4, "num_generations": 2, "max_completion_length": 8}
LORA = {"rank": 2, "target_modules": ["q_proj", "down_proj"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("sampling"))


@pytest.fixture
def samplers(place: Workplace) -> Iterator[list[str]]:
    """Two servers of the student, as it is before any run."""
    with (
        served_model(place.path / "student", allow_updates=True) as one,
        served_model(place.path / "student", allow_updates=True) as two,
    ):
        yield [one, two]


def trained(place: Workplace, name: str, *, rollout: dict[str, Any] | None = None, **changes: Any) -> list[Any]:
    sections = {**QUIET, "rollout": {**ROLLOUT, **(rollout or {})}, **changes}
    us.train(place.write_recipe(f"{name}.yaml", name=name, **sections))
    return metrics_of(place.path / "runs" / name)


def assert_alike(mine: list[Any], theirs: list[Any]) -> None:
    assert len(mine) == len(theirs) > 0
    for one, other in zip(mine, theirs, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert math.isclose(value, other[name], rel_tol=2e-4, abs_tol=2e-5), (name, value, other[name])


@pytest.mark.parametrize("weights", ["disk", "adapter", "group"])
def test_rollouts_on_servers_give_the_figures_of_rollouts_in_this_process(
    place: Workplace, samplers: list[str], weights: str
) -> None:
    student = {"model": str(place.path / "student"), **({"lora": LORA} if weights == "adapter" else {})}
    local = trained(place, f"local-{weights}", student=student)
    urls = samplers[:1] if weights == "disk" else samplers  # one process reads one whole model at a time
    served = trained(place, f"served-{weights}", rollout={"server": urls, "weights": weights}, student=student)
    assert_alike(served, local)
    assert local[0]["loss"] != local[3]["loss"]
    folder = place.path / "runs" / f"served-{weights}" / "weights"
    left = [one.name for one in folder.iterdir()] if folder.exists() else []
    assert left == ([] if weights == "group" else ["000004"]), "older weights go; a group needs no disk"


def test_servers_that_cannot_sample_for_this_student_are_refused(place: Workplace, tmp_path: Path) -> None:
    save_model(tmp_path / "larger", seed=0, vocab_size=80)
    with (
        served_model(tmp_path / "larger", allow_updates=True) as url,
        pytest.raises(TokenizerMismatchError, match=url),
    ):
        trained(place, "other-model", rollout={"server": url})
    with pytest.raises(ServerDownError):
        trained(place, "nobody", rollout={"server": "http://127.0.0.1:9"})


def test_an_adapter_on_top_of_other_weights_is_told(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    student = {"model": str(place.path / "student"), "lora": LORA}
    for name, said in (("student", False), ("teacher", True)):
        with served_model(place.path / name, allow_updates=True) as url:
            trained(place, f"on-{name}", rollout={"server": url}, student=student, steps=1)
        assert ("have other weights" in capsys.readouterr().err) == said


@pytest.mark.parametrize("staleness", [1, 3])
def test_steps_are_drawn_with_weights_of_exactly_so_many_steps_before(place: Workplace, staleness: int) -> None:
    lines = trained(place, f"stale-{staleness}", rollout={"overlap": {"max_staleness": staleness}}, steps=5)
    assert [line["staleness/max"] for line in lines] == [min(step, staleness) for step in range(5)]
    assert [line["staleness/mean"] for line in lines] == [min(step, staleness) for step in range(5)]
    assert lines[0]["staleness/share"] == 0 and "staleness/log_ratio" not in lines[0]
    assert all(line["staleness/log_ratio"] > 0 for line in lines[1:])
    again = trained(place, f"again-{staleness}", rollout={"overlap": {"max_staleness": staleness}}, steps=5)
    assert again == lines, "which weights draw depends on the step, not on the clock"


def test_no_product_is_rounded_beside_a_thread_that_draws(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is one of the process: what is drawn would depend on when the head of the student holds it."""
    switched: list[str] = []
    switch = products._switch
    monkeypatch.setattr(products, "_switch", lambda kind: (switched.append(kind), switch(kind))[1])
    short = {"student": {"model": str(place.path / "student"), "dtype": "bfloat16"}, "steps": 1}
    trained(place, "rounded", **short)
    assert switched
    switched.clear()
    trained(place, "rounded-ahead", rollout={"overlap": {"max_staleness": 1}}, **short)
    assert not switched and not products._EXACT


def test_the_first_step_is_that_of_a_run_without_overlap(place: Workplace) -> None:
    plain = trained(place, "plain", steps=2)
    ahead = trained(place, "ahead", rollout={"overlap": {"max_staleness": 1}}, steps=2)
    shared = [name for name in plain[0] if name in ahead[0]]
    assert len(shared) > 10
    for name in shared:
        assert math.isclose(plain[0][name], ahead[0][name], rel_tol=1e-5, abs_tol=1e-6), name
    assert plain[1]["loss"] != ahead[1]["loss"], "the second was drawn with the weights of the first"


@pytest.mark.parametrize("where", ["here", "on servers"])
def test_a_rollout_that_has_not_ended_goes_on_in_the_next_step(
    place: Workplace, samplers: list[str], where: str
) -> None:
    """With a learning rate of next to nothing the tokens are those that would have been drawn in one go."""
    still = {"learning_rate": 1e-9}
    servers = {} if where == "here" else {"server": samplers[:1]}
    whole = trained(place, f"whole {where}", rollout=servers, optimizer=still, steps=4)
    overlap = {"max_staleness": 2, "steps_ahead": 0, "segment_tokens": 3}
    name = f"carried {where}"
    lines = trained(place, name, rollout={**servers, "overlap": overlap}, optimizer=still, steps=4)
    carried = [line["rollouts/carried"] for line in lines]
    assert carried[0] > 0 and carried[-1] == 0
    assert max(line["staleness/max"] for line in lines) == 2 and lines[0]["staleness/max"] == 0
    assert rollouts_of(place, name) == rollouts_of(place, f"whole {where}"), "none is lost, none is drawn otherwise"
    assert whole[0]["completions/max_length"] == 8


def rollouts_of(place: Workplace, name: str) -> list[tuple[str, tuple[int, ...]]]:
    """Every rollout that the run has learned from: problem and tokens."""
    found = []
    for file in sorted((place.path / "runs" / name / "rollouts").glob("*.parquet")):
        for rollout in read(file):
            found.append((rollout.problem, tuple(rollout.turns[0].completion_ids.tolist())))
    return sorted(found)


def test_a_run_that_was_cut_draws_again_what_was_under_way(place: Workplace) -> None:
    overlap = {"max_staleness": 2, "steps_ahead": 1, "segment_tokens": 4}
    sections = {**QUIET, "rollout": {**ROLLOUT, "overlap": overlap}, "steps": 6, "checkpoint": {"every": 1}}
    file = place.write_recipe("cut.yaml", name="cut", **sections)

    class CutError(Exception):
        pass

    def stop_at(step: int, _: Any) -> None:
        if step == 3:
            raise CutError

    with pytest.raises(CutError):
        us.train(file, display=_Watching(stop_at))
    us.train(file, resume=True)
    lines = metric_lines.read(place.path / "runs" / "cut" / "metrics.jsonl")
    assert [metric_lines.step_of(line) for line in lines] == list(range(6))
    trained(place, "uncut", rollout={"overlap": overlap}, steps=6)
    problems = [problem for problem, _ in rollouts_of(place, "cut")]
    assert problems == [problem for problem, _ in rollouts_of(place, "uncut")], "every attempt was made once"


class _Watching(Silent):
    def __init__(self, told: Any) -> None:
        self._told = told

    def step(self, done: int, figures: Any) -> None:
        self._told(done, figures)


def test_a_method_with_another_writer_cannot_be_drawn_ahead(place: Workplace) -> None:
    with pytest.raises(RecipeError, match="student alone writes"):
        trained(place, "seq", rollout={"overlap": {"max_staleness": 1}}, objective={"method": "seq_kd"})
