"""Whole runs in which a teacher begins the student's rollouts, or the student as it was writes them all."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from transformers.utils import logging

import understudy as us
from tests.conformance.tiny import tiny_model
from tests.test_kill import killed
from tests.test_python_api import character_tokenizer
from tests.tiny_files import PROBLEMS, Workplace, make_workplace, metrics_of, save_model, write_rows
from tests.training.test_loop import CrashError, Heard, crash_at
from understudy.environments.toy import CHARACTERS
from understudy.errors import DataError, RecipeError
from understudy.objectives.gates import student_tokens, teacher_tokens
from understudy.objectives.objective import Objective
from understudy.objectives.schedules import constant, cosine
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import likelihood, policy_gradient
from understudy.objectives.writing import ExpertReplay, TeacherPrefix, TurnWindow, Writing
from understudy.rollouts import FinishReason, Origin, Rollout
from understudy.training import rollout_files
from understudy.training.checkpoint import folder_of, steps_of
from understudy.training.progress import Silent

STEPS, MOST = 6, 8
S, T = int(Origin.STUDENT), int(Origin.TEACHER)
LENGTHS = [8, 7, 5, 3, 1, 0]  # round(8 (1 + cos(pi s / 5)) / 2)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    logging.disable_progress_bar()
    return make_workplace(tmp_path)


@pytest.fixture(scope="module")
def peaceful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guided run that nobody disturbed."""
    logging.disable_progress_bar()
    shared = make_workplace(tmp_path_factory.mktemp("guided"))
    return train(shared, objective=guided()).path


def objective(writing: Writing) -> Objective:
    policy = policy_gradient(signal=teacher_log_ratio(), gate=student_tokens)
    terms = {"policy": policy, "prefix": likelihood(gate=teacher_tokens, coefficient=0.1)}
    return Objective(terms if writing.prefix else {"policy": policy}, writing=writing)


def guided(**options: Any) -> Objective:
    return objective(Writing(prefix=TeacherPrefix(cosine(1.0, 0.0), **options)))


def train(
    place: Workplace, *overrides: str, objective: Objective | None = None, resume: bool = False, display: Any = None
) -> us.Run:
    chosen = [f"steps={STEPS}", "evaluation.suites=[]", "engine.threads=1", *overrides]
    display = display or Silent()
    return us.train(place.path / "tiny.yaml", chosen, objective=objective, resume=resume, display=display)


def rollouts_of(run: Path, step: int) -> list[Rollout]:
    return rollout_files.read(rollout_files.file_of(run / "rollouts", step))


def stored(run: Path, name: str = "teacher") -> dict[tuple[str, int], Rollout]:
    found = [r for file in sorted((run / "written" / name).iterdir()) for r in rollout_files.read(file)]
    places = [(rollout.problem, int(str(rollout.extra["attempt"]))) for rollout in found]
    assert len(set(places)) == len(places), "each is written once"
    return dict(zip(places, found, strict=True))


def words(rollout: Rollout) -> list[list[int]]:
    return [turn.completion_ids.tolist() for turn in rollout.turns]


def final_weights(run: Path) -> bytes:
    last = folder_of(run / "checkpoints", steps_of(run / "checkpoints")[-1])
    (weights,) = last.glob("*/*model.safetensors")
    return weights.read_bytes()


# ------------------------------------------------------------------------------------------ prefixes


def test_prefixes_are_the_teachers_own_words_and_shrink_to_nothing(peaceful: Path) -> None:
    texts = stored(peaceful)
    assert set(texts) == {(problem, 0) for problem, _ in texts}, "one text a prompt"
    seen: set[str] = set()
    ends = set()
    for step, longest in enumerate(LENGTHS):
        for rollout in rollouts_of(peaceful, step):
            seen.add(rollout.problem)
            (turn,) = rollout.turns
            (text,) = texts[rollout.problem, 0].turns
            length = min(longest, text.completion_ids.numel())
            own = turn.completion_ids.numel() - length
            assert turn.completion_ids[:length].equal(text.completion_ids[:length])
            assert turn.origin.tolist() == [T] * length + [S] * own
            assert turn.completion_ids.numel() <= MOST
            assert rollout.num_given == length
            assert turn.behaviour_logprob.isnan().tolist() == [True] * length + [False] * own
            if length == text.completion_ids.numel() and length:
                assert (own, rollout.finish_reason) == (0, text.finish_reason)
                ends.add(rollout.finish_reason)
            else:
                assert own > 0
            assert rollout.reward is not None, "the whole is judged"
    assert ends == {FinishReason.STOP, FinishReason.LENGTH}, "both kinds of texts were met"
    assert len(seen) == len(PROBLEMS)
    check_figures(metrics_of(peaceful))


def check_figures(lines: list[dict[str, float | None]]) -> None:
    assert [line["prefix/mean_length"] == 0 for line in lines] == [length == 0 for length in LENGTHS]
    assert (lines[0]["prefix/share"], lines[0]["prefix/only"]) == (1.0, 8.0), "the first batch is all the teacher's"
    assert (lines[-1]["prefix/share"], lines[-1]["prefix/only"]) == (0.0, 0.0)
    assert "reward" not in lines[0] and "teacher/reward" in lines[0]
    assert [line["gate/prefix"] for line in lines] == pytest.approx([line["prefix/share"] for line in lines])
    assert all(line["parse_failure_rate"] is not None for line in lines[1:])


def test_attempts_begin_alike_and_go_on_differently(place: Workplace) -> None:
    parted = 0
    train(
        place,
        "steps=2",
        "rollout.num_generations=6",
        objective=objective(Writing(prefix=TeacherPrefix(constant(0.25)))),
    )
    for _, members in groupby(rollouts_of(place.run, 0), key=lambda rollout: rollout.group):
        found = [rollout.turns[0].completion_ids.tolist() for rollout in members]
        assert len({tuple(ids[:2]) for ids in found}) == 1
        parted += len({tuple(ids) for ids in found}) > 1
    assert parted >= 2, "of four prompts"


def test_several_texts_a_prompt_and_uniform_lengths(place: Workplace) -> None:
    train(place, objective=guided(num_texts=2, length="uniform"))
    texts = stored(place.run)
    assert {attempt for _, attempt in texts} == {0, 1}
    given = set()
    for step, longest in enumerate(LENGTHS):
        for rollout in rollouts_of(place.run, step):
            (text,) = texts.get((rollout.problem, rollout.key % 2), rollout).turns
            length = rollout.num_given or 0
            assert length <= longest
            assert rollout.turns[0].completion_ids[:length].equal(text.completion_ids[:length])
            given.add((step, length))
    assert len({length for step, length in given if step == 0}) > 2


def test_the_teachers_texts_are_drawn_by_the_seed_alone(place: Workplace, peaceful: Path) -> None:
    """Not by the step they are first needed in, nor by what the student has learnt."""
    train(place, "rollout.prompts_per_step=3", "optimizer.learning_rate=0.5", objective=guided())
    train(place, "name=seed", "seed=8", "steps=2", objective=guided())
    texts, others, reseeded = (stored(run) for run in (peaceful, place.run, place.path / "runs" / "seed"))
    assert set(texts) == set(others)
    assert all(words(texts[one]) == words(others[one]) for one in texts)
    assert any(words(texts[one]) != words(found) for one, found in reseeded.items())


def test_without_guidance_nothing_is_stored_and_no_teacher_writes(place: Workplace) -> None:
    train(place, "steps=1")
    assert not (place.run / "written").exists()
    assert {int(o) for r in rollouts_of(place.run, 0) for turn in r.turns for o in turn.origin} == {S}
    assert {rollout.num_given for rollout in rollouts_of(place.run, 0)} == {None}


def test_the_making_of_texts_is_shown(place: Workplace) -> None:
    shown: list[tuple[str, int]] = []
    counts: list[int] = []

    class Phases(Silent):
        def phase(self, name: str, *, size: int = 0) -> None:
            shown.append((name, size))

        def advance(self, count: int) -> None:
            counts.append(count)

    train(place, objective=guided(), display=Phases())
    texts = [place for place, (name, _) in enumerate(shown) if name == "teacher text"]
    assert [shown[place][1] for place in texts] == [4, 4, 4], "an epoch's prompts, then all are known"
    assert {(shown[place - 1], shown[place + 1]) for place in texts} == {(("sample", 8), ("sample", 8))}
    assert sum(counts) == 12 + STEPS * 8


# ------------------------------------------------------------------------------------------ interruptions


def assert_same_run(one: Path, other: Path) -> None:
    assert metrics_of(one) == metrics_of(other)
    assert final_weights(one) == final_weights(other)
    for step in range(STEPS):
        for found, expected in zip(rollouts_of(one, step), rollouts_of(other, step), strict=True):
            assert words(found) == words(expected)
    assert not [entry for entry in one.rglob("*") if "writing" in entry.name]


def test_a_guided_run_that_dies_around_a_write_of_texts_ends_the_same(
    place: Workplace, peaceful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def dying(file: str, *, after: bool) -> Callable[[Path, Path], Path]:
        def replace(self: Path, target: Path) -> Path:
            fatal = target.name == file and target.parent.name == "teacher"
            found = real(self, target) if after or not fatal else self
            if fatal:
                raise CrashError
            return found

        return replace

    for number, (file, after) in enumerate([("000000.parquet", True), ("000001.parquet", False)]):
        with monkeypatch.context() as patch, pytest.raises(CrashError):
            patch.setattr(Path, "replace", dying(file, after=after))
            train(place, f"name=cut{number}", objective=guided())
        train(place, f"name=cut{number}", objective=guided(), resume=True)
        assert_same_run(place.path / "runs" / f"cut{number}", peaceful)


def test_a_guided_run_that_dies_in_its_second_epoch_ends_the_same(
    place: Workplace, peaceful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        patch.setattr(rollout_files, "write", crash_at(6, rollout_files.write))
        train(place, objective=guided())
    texts = (place.run / "written" / "teacher").stat().st_mtime_ns
    train(place, objective=guided(), resume=True)
    assert (place.run / "written" / "teacher").stat().st_mtime_ns == texts, "no text is made twice"
    assert_same_run(place.run, peaceful)


def test_a_guided_run_that_is_killed_ends_the_same(place: Workplace) -> None:
    place.write_recipe(objective={"method": "tropd", "top_k": 4}, steps=12, evaluation={"suites": []})
    overrides = ["steps=12", "evaluation.every=5", "checkpoint.every=3"]
    us.train(place.path / "tiny.yaml", [*overrides, "name=peaceful"], display=Silent())
    status, err = killed(place, "cut", lines=4, more_seconds=0.02)
    assert status == -9, err
    us.train(place.path / "tiny.yaml", [*overrides, "name=cut"], resume=True, display=Silent())
    cut, peaceful = place.path / "runs" / "cut", place.path / "runs" / "peaceful"
    assert metrics_of(cut) == metrics_of(peaceful)
    assert final_weights(cut) == final_weights(peaceful)
    assert {k: words(r) for k, r in stored(cut).items()} == {k: words(r) for k, r in stored(peaceful).items()}


def test_texts_of_another_teacher_are_not_used(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        patch.setattr(rollout_files, "write", crash_at(2, rollout_files.write))
        train(place, objective=guided())
    before = stored(place.run)
    save_model(place.path / "teacher", seed=5)
    heard = Heard()
    train(place, objective=guided(), resume=True, display=heard)
    assert sum("another writer" in notice for notice in heard.notices) == 1
    found = {rollout.problem: words(rollout) for rollout in rollouts_of(place.run, 0)}
    assert all(words(text) != found[problem] for (problem, _), text in before.items() if problem in found)


# ------------------------------------------------------------------------------------------ texts in the data


@pytest.fixture
def taught(place: Workplace) -> Workplace:
    """The workplace with a column of teacher's texts and no teacher model."""
    rows = [{**row, "essay": " ".join(f"w{2 + (n + k) % 9}" for k in range(n))} for n, row in enumerate(PROBLEMS, 1)]
    write_rows(place.path / "problems.jsonl", rows)
    data = {**place.recipe()["data"], "teacher_text": "essay"}
    place.write_recipe(teacher=None, data=data)
    return place


def essay_of(rollout: Rollout) -> list[int]:
    return [int(word[1:]) for word in str(rollout.extra["essay"]).split()] + [1]


def test_prefixes_may_stand_in_the_data(taught: Workplace) -> None:
    prefix = TeacherPrefix(cosine(1.0, 0.0))
    terms = {"prefix": likelihood(gate=teacher_tokens), "own": likelihood(gate=student_tokens, coefficient=0.1)}
    train(taught, objective=Objective(terms, writing=Writing(prefix=prefix)))
    ended = 0
    for step, longest in enumerate(LENGTHS):
        for rollout in rollouts_of(taught.run, step):
            (turn,), essay = rollout.turns, essay_of(rollout)
            length = min(longest, len(essay))
            assert turn.completion_ids[:length].tolist() == essay[:length]
            assert set(turn.origin[:length].tolist()) <= {T}
            assert set(turn.origin[length:].tolist()) <= {S}
            ended += 0 < length == len(essay) == turn.completion_ids.numel()
            assert turn.completion_ids.numel() <= MOST, "essays of up to 13 tokens are cut"
    assert ended > 0
    assert not (taught.run / "written").exists()


def test_a_method_that_copies_the_teacher_takes_it_from_the_data(taught: Workplace) -> None:
    train(taught, "objective={method: seq_kd}")
    for rollout in rollouts_of(taught.run, 0):
        assert words(rollout) == [essay_of(rollout)]
        assert set(rollout.turns[0].origin.tolist()) == {T}
    assert len(rollouts_of(taught.run, 0)) == 4, "each text is taken once, however many attempts there are"
    lines = metrics_of(taught.run)
    assert (lines[-1]["loss"] or math.inf) < (lines[0]["loss"] or 0)


def test_a_row_without_a_text_is_found_before_the_start(taught: Workplace) -> None:
    rows = [json.loads(line) for line in (taught.path / "problems.jsonl").read_text().splitlines()]
    rows[3]["essay"] = "  "
    write_rows(taught.path / "problems.jsonl", rows)
    with pytest.raises(DataError, match=r"line 4.*'essay' is blank.*missing: drop"):
        train(taught, "objective={method: seq_kd}")
    train(taught, "objective={method: seq_kd}", "data.missing=drop")
    with pytest.raises(DataError, match="no column 'novel'"):
        train(taught, "objective={method: seq_kd}", "name=other", "data.teacher_text=novel")


# ------------------------------------------------------------------------------------------ refusals


def test_who_cannot_write_is_refused_before_anything_is_loaded(place: Workplace) -> None:
    shutil.rmtree(place.path / "student")  # nobody looks for it
    place.write_recipe(teacher=None)
    with pytest.raises(RecipeError, match=r"needs a teacher that writes.*data\.teacher_text"):
        train(place, "objective={method: seq_kd}")
    place.write_recipe(teacher={"model": "self"})
    with pytest.raises(RecipeError, match="a local model other than the student"):
        train(place, objective=guided())
    data = {**place.recipe()["data"], "teacher_text": "solution"}
    place.write_recipe(teacher={"model": "self"}, data=data, rollout={"max_turns": 2})
    with pytest.raises(RecipeError, match="a teacher that plays episodes"):
        train(place, objective=objective(Writing(turns=ExpertReplay(lambda _: 1))))
    assert not place.run.exists()


def test_replay_with_a_single_turn_has_nothing_to_repeat_and_says_so(place: Workplace) -> None:
    heard = Heard()
    train(place, "steps=2", objective=objective(Writing(turns=ExpertReplay(lambda step: 1 + step))), display=heard)
    assert any("there is nothing to repeat" in notice for notice in heard.notices)
    train(place, "steps=2", "name=plain", objective=objective(Writing()))
    assert metrics_of(place.run) == metrics_of(place.path / "runs" / "plain")
    assert not (place.run / "written").exists()


# ------------------------------------------------------------------------------------------ turns

STYLES = pytest.mark.parametrize("style", ["fresh", "growing"])


@pytest.fixture
def digits(place: Workplace) -> Workplace:
    """Models and problems of the two-turn toy, seven problems and two attempts a step."""
    for role, seed in (("student", 0), ("teacher", 1)):
        tiny_model(seed=seed, vocab_size=2 + len(CHARACTERS), layers=1).save_pretrained(place.path / role)
        character_tokenizer().save_pretrained(place.path / role)
    write_rows(place.path / "digits.jsonl", [{"id": f"digit-{d}", "ask": "?"} for d in range(10)])
    place.write_recipe(
        data={"dataset": str(place.path / "digits.jsonl"), "prompt": "{ask}"},
        rollout={"prompts_per_step": 7, "num_generations": 2, "max_completion_length": 3, "max_turns": 2},
    )
    return place


def world_as(style: str) -> str:
    return f"environment={{kind: remember_digit, style: {style}}}"


@STYLES
def test_a_window_ends_rollouts_after_the_turns_of_its_step(digits: Workplace, style: str) -> None:
    train(digits, world_as(style), objective=objective(Writing(turns=TurnWindow(lambda step: 1 + step // 2))))
    train(digits, world_as(style), "name=plain", "steps=1", objective=objective(Writing()))
    for step, most in enumerate([1, 1, 2, 2, 2, 2]):
        rollouts = rollouts_of(digits.run, step)
        assert {len(rollout.turns) for rollout in rollouts} == {most}
        assert {r.finish_reason == FinishReason.ENVIRONMENT for r in rollouts} == {most == 1}
        assert metrics_of(digits.run)[step]["rollouts/mean_turns"] == most
    # At step 0 the student is the same: what fits the window is what is played without one.
    for short, long in zip(rollouts_of(digits.run, 0), rollouts_of(digits.path / "runs" / "plain", 0), strict=True):
        assert words(short) == words(long)[:1]


@STYLES
def test_an_experts_first_turns_are_replayed_in_the_same_world(digits: Workplace, style: str) -> None:
    replay = objective(Writing(turns=ExpertReplay(lambda step: 1 + step // 4)))
    train(digits, world_as(style), objective=replay)
    experts = stored(digits.run)
    assert {attempt for _, attempt in experts} == {0}
    for step in range(STEPS):
        for rollout in rollouts_of(digits.run, step):
            first, second = rollout.turns
            if step >= 4:
                assert {*first.origin.tolist(), *second.origin.tolist()} == {S}
                continue
            expert = experts[rollout.problem, 0].turns
            assert first.prompt_ids.equal(expert[0].prompt_ids), "the digit comes from the world's seed"
            assert first.completion_ids.equal(expert[0].completion_ids)
            assert (set(first.origin.tolist()), set(second.origin.tolist())) == ({T}, {S})
            assert first.reward == expert[0].reward
            assert second.prompt_ids.equal(expert[1].prompt_ids)
            assert rollout.num_given == first.completion_ids.numel()
    shown = {tuple(r.turns[0].prompt_ids.tolist()) for r in experts.values()}
    assert len(shown) > 2


def test_a_run_with_replay_that_dies_ends_the_same(digits: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    replay, world = objective(Writing(turns=ExpertReplay(lambda step: 1 + step // 4))), world_as("growing")
    train(digits, world, "name=peaceful", objective=replay)
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        patch.setattr(rollout_files, "write", crash_at(4, rollout_files.write))
        train(digits, world, objective=replay)
    train(digits, world, objective=replay, resume=True)
    assert_same_run(digits.run, digits.path / "runs" / "peaceful")


# ------------------------------------------------------------------------------------------ initial weights


def initially() -> Objective:
    return objective(Writing(weights="initial"))


@pytest.fixture(scope="module", params=["full", "lora"])
def fixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on what the initial weights wrote, of all weights or of adapters."""
    logging.disable_progress_bar()
    lora = ["student.lora={rank: 4}"] if request.param == "lora" else []
    shared = make_workplace(tmp_path_factory.mktemp("initial"))
    train(shared, *lora, "name=fast", "optimizer.learning_rate=0.3", objective=initially())
    train(shared, *lora, "name=live", "steps=4", objective=objective(Writing()))
    return train(shared, *lora, objective=initially()).path


def by_place(run: Path) -> dict[tuple[str, int], list[Rollout]]:
    found: dict[tuple[str, int], list[Rollout]] = {}
    for step in range(len(metrics_of(run))):
        for rollout in rollouts_of(run, step):
            found.setdefault((rollout.problem, rollout.key % 2), []).append(rollout)
    return found


def test_initial_weights_write_each_attempt_once_whatever_is_learnt(fixed: Path) -> None:
    places, fast, live = by_place(fixed), by_place(fixed.parent / "fast"), by_place(fixed.parent / "live")
    assert len(places) == 24 and all(len(found) == 2 for found in places.values()), "two epochs"
    for one, found in places.items():
        for other in [*found[1:], *fast[one]]:
            assert words(other) == words(found[0])
            assert torch.equal(other.turns[0].behaviour_logprob, found[0].turns[0].behaviour_logprob)
            assert set(other.turns[0].weight_version.tolist()) == {0}
    assert metrics_of(fixed) != metrics_of(fixed.parent / "fast")
    assert any(words(found[0]) != words(found[1]) for found in live.values() if len(found) > 1)
    assert len({str(words(found[0])) for found in places.values()}) > 12, "attempts differ"


def test_the_student_is_scored_anew_once_it_has_moved(fixed: Path) -> None:
    lines = metrics_of(fixed)
    assert (lines[0]["drift/trainer_vs_sampler"] or 0) < 1e-5, "at step 0 the sampler's figures are the student's"
    assert all("drift/trainer_vs_sampler" not in line for line in lines[1:])
    for step in range(STEPS):
        gaps = [
            abs(student - behaviour)
            for row in rollout_rows(fixed, step)
            for student, behaviour in zip(row["student_logprob"], row["behaviour_logprob"], strict=True)
        ]
        assert (max(gaps) < 1e-5) == (step == 0)


def rollout_rows(run: Path, step: int) -> list[dict[str, Any]]:
    return pq.read_table(rollout_files.file_of(run / "rollouts", step)).to_pylist()


def test_a_run_of_initial_weights_that_dies_ends_the_same(
    fixed: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = ["student.lora={rank: 4}"] if (fixed / "checkpoints" / "step-000006" / "adapter").exists() else []
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        patch.setattr(rollout_files, "write", crash_at(5, rollout_files.write))
        train(place, *lora, objective=initially())
    train(place, *lora, objective=initially(), resume=True)
    assert_same_run(place.run, fixed)
    assert set(stored(fixed, "initial")) == {*by_place(fixed)}
