"""Runs that are cut, spoilt, stopped and resumed end with the very same numbers as one that was left in peace."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.tiny_run import SETTINGS, evaluation_of, go, parts_of, record_of, weights_of
from understudy.engines.local import LocalPolicy
from understudy.errors import CheckpointError, NonFiniteError
from understudy.objectives.gates import Gate, student_tokens
from understudy.objectives.needs import requires
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.protocols import Scorer, ScoreRequest, Scores
from understudy.training import checkpoint, loop, rollout_files
from understudy.training.metric_lines import read
from understudy.training.progress import Silent
from understudy.training.run_directory import RunDirectory, open_run
from understudy.training.session import Best
from understudy.training.step import Parts

STEPS = 6


class CrashError(BaseException):
    """Stands for a process that dies: nothing in the package catches it."""


class Heard(Silent):
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.fixture(scope="module")
def peaceful(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[torch.Tensor]]:
    """An uninterrupted run and its final weights."""
    path = tmp_path_factory.mktemp("peaceful") / "run"
    parts = parts_of(STEPS)
    outcome = go(path, parts)
    assert (outcome.step, outcome.exit_status) == (STEPS, 0)
    return path, weights_of(parts)


def assert_same(path: Path, parts: Parts, peaceful: tuple[Path, list[torch.Tensor]]) -> None:
    assert record_of(path) == record_of(peaceful[0])
    for found, expected in zip(weights_of(parts), peaceful[1], strict=True):
        assert torch.equal(found, expected)


def opened(path: Path, *, resume: bool = False) -> RunDirectory:
    return open_run(path, recipe="steps: 6\n", environment={}, resume=resume, differences=lambda old, new: [])


def crash_at(calls: int, function: Callable[..., object]) -> Callable[..., object]:
    """The function, that dies at its so-manieth call before doing anything."""
    left = [calls]

    def wrapped(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise CrashError
        return function(*args, **kwargs)

    return wrapped


def test_the_student_moves_toward_the_teacher(tmp_path: Path) -> None:
    go(tmp_path / "run", parts_of(40, learning_rate=0.03))
    divergence = [line["kl/reverse_k1"] for line in read(tmp_path / "run" / "metrics.jsonl")]
    first, last = sum(divergence[:5]) / 5, sum(divergence[-5:]) / 5  # type: ignore[arg-type]
    assert last < 0.6 * first


def test_metrics_have_one_line_a_step_with_the_names_users_expect(peaceful: tuple[Path, list[torch.Tensor]]) -> None:
    lines = read(peaceful[0] / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(STEPS))
    expected = {
        "loss", "loss/policy", "grad_norm", "learning_rate", "num_tokens", "step_time", "reward", "accuracy",
        "completions/mean_length", "completions/clipped_ratio", "kl/reverse_k1", "kl/k3", "gate/policy",
        "advantage/policy/mean", "drift/trainer_vs_sampler", "rollouts/failed", "time/sample", "time/teacher_score",
        "time/update", "time/student_score",
    }  # fmt: skip
    assert expected <= set(lines[0])
    assert all(line["rollouts/failed"] == 1 for line in lines)
    assert lines[0]["drift/trainer_vs_sampler"] < 1e-5  # type: ignore[operator]
    assert lines[0]["kl/reverse_k1"] == pytest.approx(-lines[0]["advantage/policy/mean"], abs=1e-6)  # type: ignore[operator]


def test_evaluations_come_before_every_third_step_and_after(peaceful: tuple[Path, list[torch.Tensor]]) -> None:
    assert [line["step"] for line in read(peaceful[0] / "evaluation" / "figures.jsonl")] == [0, 3, 6]
    assert checkpoint.steps_of(peaceful[0] / "checkpoints") == [4, 6]


@pytest.mark.parametrize("step", range(STEPS))
def test_a_run_that_dies_while_sampling_ends_the_same(
    step: int, tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]
) -> None:
    doomed = parts_of(STEPS)
    with pytest.raises(CrashError):
        go(tmp_path / "run", replace(doomed, collect=crash_at(step + 1, doomed.collect)))
    parts = parts_of(STEPS)
    go(tmp_path / "run", parts, resume=True)
    assert_same(tmp_path / "run", parts, peaceful)


def test_a_run_that_dies_at_any_write_ends_the_same(
    tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dies at the n-th rename of a file or folder, for every n of the run; none of them is lost."""
    real = Path.replace
    for calls in range(3, 1000):
        path = tmp_path / f"run{calls}"
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", crash_at(calls, real))
            try:
                go(path, parts_of(STEPS))
            except CrashError:
                pass
            else:
                break
        parts = parts_of(STEPS)
        go(path, parts, resume=True)
        assert_same(path, parts, peaceful)
        shutil.rmtree(path)
    assert calls > 10


def test_a_metrics_line_cut_in_half_is_dropped(tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]) -> None:
    doomed = parts_of(STEPS)
    with pytest.raises(CrashError):
        go(tmp_path / "run", replace(doomed, collect=crash_at(5, doomed.collect)))
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 0.1')
    parts = parts_of(STEPS)
    go(tmp_path / "run", parts, resume=True)
    assert_same(tmp_path / "run", parts, peaceful)


def flip_a_byte(folder: Path) -> None:
    file = folder / "trainer.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(bytes(content))


def truncate_a_file(folder: Path) -> None:
    file = folder / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def lose_the_manifest(folder: Path) -> None:
    (folder / checkpoint.MANIFEST).unlink()


def lose_a_file(folder: Path) -> None:
    (folder / "trainer.json").unlink()


@pytest.mark.parametrize("spoil", [flip_a_byte, truncate_a_file, lose_the_manifest, lose_a_file])
def test_a_spoilt_checkpoint_falls_back_to_the_last_good_one(
    spoil: Callable[[Path], None], tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]
) -> None:
    path = tmp_path / "run"
    shutil.copytree(peaceful[0], path)
    spoil(path / "checkpoints" / "step-000006")
    parts, heard = parts_of(STEPS), Heard()
    go(path, parts, resume=True, display=heard)
    assert "The checkpoint of step 6 cannot be used" in heard.notices[0]
    assert "Resuming after 4 steps" in heard.notices[1]
    assert_same(path, parts, peaceful)


def test_all_checkpoints_spoilt_is_an_error_with_a_remedy(
    tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]
) -> None:
    path = tmp_path / "run"
    shutil.copytree(peaceful[0], path)
    for folder in (path / "checkpoints").iterdir():
        flip_a_byte(folder)
    with pytest.raises(CheckpointError, match=r"trainer.safetensors has changed.*begin anew"):
        go(path, parts_of(STEPS), resume=True)


def test_a_finished_run_resumes_to_itself(tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]) -> None:
    path = tmp_path / "run"
    shutil.copytree(peaceful[0], path)
    before = (path / "metrics.jsonl").read_text()
    parts = parts_of(STEPS)
    assert go(path, parts, resume=True).step == STEPS
    assert (path / "metrics.jsonl").read_text() == before
    assert_same(path, parts, peaceful)


def test_resume_without_anything_to_resume_begins_anew(
    tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]
) -> None:
    parts, heard = parts_of(STEPS), Heard()
    go(tmp_path / "run", parts, resume=True, display=heard)
    assert "begins anew" in heard.notices[0]
    assert_same(tmp_path / "run", parts, peaceful)


def test_a_full_disk_leaves_the_last_good_checkpoint(
    tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: LocalPolicy, folder: Path) -> None:
        if self.updates == 4:
            (folder / "half").write_bytes(b"123")
            raise OSError(28, "No space left on device")
        return real(self, folder)

    real = LocalPolicy.save
    monkeypatch.setattr(LocalPolicy, "save", refuse)
    with pytest.raises(CheckpointError, match=r"step 4 cannot be written.*No space left.*step 2 is whole.*--resume"):
        go(tmp_path / "run", parts_of(STEPS))
    assert [entry.name for entry in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000002"]
    monkeypatch.undo()
    parts = parts_of(STEPS)
    go(tmp_path / "run", parts, resume=True)
    assert_same(tmp_path / "run", parts, peaceful)


def test_an_error_while_sampling_leaves_a_checkpoint_of_the_steps_done(
    tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]
) -> None:
    doomed = parts_of(STEPS)

    def collect(step: int, progress: Callable[[int], None]) -> object:
        if step == 3:
            raise ConnectionError("the teacher's server is gone")
        return doomed.collect(step, progress)

    with pytest.raises(ConnectionError):
        go(tmp_path / "run", replace(doomed, collect=collect))  # type: ignore[arg-type]
    assert checkpoint.steps_of(tmp_path / "run" / "checkpoints") == [2, 3]
    parts = parts_of(STEPS)
    go(tmp_path / "run", parts, resume=True)
    assert_same(tmp_path / "run", parts, peaceful)


@pytest.mark.parametrize("when", ["sampling", "evaluation", "update"])
def test_a_signal_gives_up_what_can_be_repeated_and_finishes_the_update(
    when: str, tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]
) -> None:
    parts = parts_of(STEPS)

    def collect(step: int, progress: Callable[[int], None]) -> object:
        if when == "sampling" and step == 3:
            signal.raise_signal(signal.SIGTERM)
        return plain(step, progress)

    def announce(version: int) -> None:
        if when == "update" and version == 4:
            signal.raise_signal(signal.SIGTERM)
        parts.announce(version)

    def evaluate(step: int, progress: Callable[[int], None]) -> Mapping[str, float]:
        if when == "evaluation" and step == 3:
            signal.raise_signal(signal.SIGTERM)
        return evaluation_of(parts)(step, progress)

    plain = parts.collect
    stopped = replace(parts, collect=collect, announce=announce)  # type: ignore[arg-type]
    with opened(tmp_path / "run") as directory:
        outcome = loop.run(stopped, SETTINGS, directory, evaluate=evaluate)
    done = 4 if when == "update" else 3
    assert (outcome.step, outcome.exit_status) == (done, 128 + signal.SIGTERM)
    assert outcome.checkpoint == checkpoint.folder_of(tmp_path / "run" / "checkpoints", done)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    again = parts_of(STEPS)
    go(tmp_path / "run", again, resume=True)
    assert_same(tmp_path / "run", again, peaceful)


def test_a_second_signal_ends_at_once(tmp_path: Path, peaceful: tuple[Path, list[torch.Tensor]]) -> None:
    parts = parts_of(STEPS)

    def announce(version: int) -> None:
        parts.announce(version)
        if version == 4:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    outcome = go(tmp_path / "run", replace(parts, announce=announce))
    assert (outcome.step, outcome.exit_status) == (3, 130)
    assert checkpoint.steps_of(tmp_path / "run" / "checkpoints") == [2]
    again = parts_of(STEPS)
    go(tmp_path / "run", again, resume=True)
    assert_same(tmp_path / "run", again, peaceful)


class BrokenAt:
    """A scorer whose answer number ``call`` is not a number."""

    def __init__(self, scorer: Scorer, call: int) -> None:
        self._scorer, self._left = scorer, call
        self.capabilities, self.fingerprint = scorer.capabilities, scorer.fingerprint

    def score(self, request: ScoreRequest) -> Scores:
        self._left -= 1
        scores = self._scorer.score(request)
        return replace(scores, sampled=scores.sampled * float("nan")) if self._left == 0 else scores


def test_nan_in_a_loss_names_step_and_term_and_keeps_the_rollouts(tmp_path: Path) -> None:
    parts = parts_of(STEPS)
    broken = replace(parts, scorers={"teacher": BrokenAt(parts.scorers["teacher"], 4)})
    with pytest.raises(NonFiniteError, match=r"step 3: .*'policy'.*step-000003.parquet"):
        go(tmp_path / "run", broken, settings=replace(SETTINGS, rollouts_every=0))
    path = tmp_path / "run"
    assert [line["step"] for line in read(path / "metrics.jsonl")] == [0, 1, 2]
    rollouts = rollout_files.read(rollout_files.file_of(path / "rollouts", 3))
    assert len(rollouts) == 8 and all(rollout.turns for rollout in rollouts[:-1])
    assert checkpoint.steps_of(path / "checkpoints") == [2, 3]


def test_a_batch_whose_tokens_are_all_gated_does_not_move_the_student(tmp_path: Path) -> None:
    nothing = Gate("nothing", requires()(lambda table, _: torch.zeros(table.num_tokens, dtype=torch.bool)))
    objective = Objective({"policy": policy_gradient(signal=teacher_log_ratio(), gate=student_tokens & nothing)})
    parts = parts_of(3, objective=objective)
    before = weights_of(parts)
    go(tmp_path / "run", parts)
    for found, expected in zip(weights_of(parts), before, strict=True):
        assert torch.equal(found, expected)
    line = read(tmp_path / "run" / "metrics.jsonl")[0]
    assert (line["loss"], line["grad_norm"], line["gate/policy"]) == (0, 0, 0)
    assert line["advantage/policy/p05"] is None  # no rows: null in the file, not NaN


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    scores = {0: 9.0, 1: 1.0, 2: 3.0, 3: 2.0, 4: 0.0, 5: 3.0, 6: 1.0}
    settings = replace(SETTINGS, evaluate_every=1, checkpoint_every=3, keep_last=1, best=Best("score"))
    parts = parts_of(STEPS)
    heard: list[tuple[int, Mapping[str, float]]] = []
    with opened(tmp_path / "run") as directory:
        loop.run(
            parts,
            settings,
            directory,
            evaluate=lambda step, progress: {"score": scores[step]},
            reports=[lambda step, figures: heard.append((step, figures))],
        )
    # Step 0 does not count, of two equals the earlier wins, and step 2 is no multiple of 3.
    assert checkpoint.steps_of(tmp_path / "run" / "checkpoints") == [2, 6]
    assert '"step": 2' in (tmp_path / "run" / "checkpoints" / "best.json").read_text()
    assert [step for step, figures in heard if "score" in figures] == list(range(7))
    assert [step for step, figures in heard if "loss" in figures] == list(range(6))


def test_evaluations_of_steps_that_are_kept_are_not_repeated(tmp_path: Path) -> None:
    doomed = parts_of(STEPS)
    with pytest.raises(CrashError):
        go(tmp_path / "run", replace(doomed, collect=crash_at(4, doomed.collect)))
    (tmp_path / "run" / "evaluation" / "step-000003-suite.json").write_text("{}")
    (tmp_path / "run" / "evaluation" / "step-000000-suite.json").write_text("{}")
    assert [line["step"] for line in read(tmp_path / "run" / "evaluation" / "figures.jsonl")] == [0, 3]
    parts, asked = parts_of(STEPS), []

    def evaluate(step: int, progress: Callable[[int], None]) -> Mapping[str, float]:
        asked.append(step)
        return evaluation_of(parts)(step, progress)

    with opened(tmp_path / "run", resume=True) as directory:
        loop.run(parts, SETTINGS, directory, evaluate=evaluate)
    assert asked == [3, 6]  # the checkpoint is of step 2
    assert [file.name for file in (tmp_path / "run" / "evaluation").glob("step-*")] == ["step-000000-suite.json"]


def test_a_resumed_session_tells_from_its_first_step_on_what_an_earlier_one_examined(tmp_path: Path) -> None:
    settings = replace(SETTINGS, checkpoint_every=3)
    heard: list[tuple[int, frozenset[str]]] = []

    def listen(step: int, figures: Mapping[str, float]) -> None:
        heard.append((step, frozenset(figures) & {"loss", "fixed/logprob"}))

    doomed = parts_of(STEPS)
    with pytest.raises(CrashError):
        go(tmp_path / "run", replace(doomed, collect=crash_at(5, doomed.collect)), settings=settings, reports=[listen])
    step, examination = frozenset({"loss"}), frozenset({"fixed/logprob"})
    assert heard == [(0, examination), (0, step), (1, step), (2, step), (3, examination), (3, step)]
    heard.clear()
    go(tmp_path / "run", parts_of(STEPS), settings=settings, resume=True, reports=[listen])
    assert heard == [(3, examination), (3, step), (4, step), (5, step), (6, examination)]


def test_pages_beside_the_weights_are_written_with_them_and_again_when_they_are_examined(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []

    def describe(folder: Path, step: int) -> None:
        told.append((folder.name, step))
        (folder / "model" / "README.md").write_text(f"told {len(told)} times")

    def ran(*, resume: bool = False) -> None:
        parts, settings = parts_of(STEPS), replace(SETTINGS, checkpoint_every=3)
        with opened(tmp_path / "run", resume=resume) as directory:
            loop.run(parts, settings, directory, evaluate=evaluation_of(parts), describe=describe)

    ran()
    assert told == [("step-000003.writing", 3), ("step-000003", 3), ("step-000006.writing", 6), ("step-000006", 6)]
    for step, count in ((3, 2), (6, 4)):
        folder = checkpoint.folder_of(tmp_path / "run" / "checkpoints", step)
        assert (folder / "model" / "README.md").read_text() == f"told {count} times"
        assert checkpoint.faults_of(folder) is None, "a page for people may change"
    ran(resume=True)
    assert len(told) == 4, "whoever owns the page may have worked on it"
    figures = (tmp_path / "run" / "evaluation" / "figures.jsonl").stat().st_mtime_ns
    os.utime(folder / "model" / "README.md", ns=(figures - 1, figures - 1))  # as a kill between the two leaves it
    ran(resume=True)
    assert told[4:] == [("step-000006", 6)]


def test_a_run_ends_when_nothing_better_comes_and_goes_on_to_the_same_end(tmp_path: Path) -> None:
    scores = {0: 9.0, 1: 1.0, 2: 3.0, 3: 2.0, 4: 3.0, 5: 8.0, 6: 8.0}
    settings = replace(SETTINGS, evaluate_every=1, checkpoint_every=6, best=Best("score", stop_after=2))

    def ran(path: Path, parts: Parts, heard: list[int], *, resume: bool = False) -> loop.Outcome:
        with opened(path, resume=resume) as directory:
            return loop.run(
                parts,
                settings,
                directory,
                evaluate=lambda step, progress: {"score": scores[step]},
                reports=[lambda step, figures: heard.append(step) if "score" in figures else None],
            )

    parts, heard = parts_of(STEPS), list[int]()
    outcome = ran(tmp_path / "whole", parts, heard)
    assert (outcome.step, outcome.exit_status) == (4, 0) and heard == [0, 1, 2, 3, 4], "3 and 4 are no better than 2"
    assert checkpoint.steps_of(tmp_path / "whole" / "checkpoints") == [2, 4]
    doomed, cut = parts_of(STEPS), list[int]()
    with pytest.raises(CrashError):
        ran(tmp_path / "cut", replace(doomed, collect=crash_at(4, doomed.collect)), cut)
    again = parts_of(STEPS)
    assert ran(tmp_path / "cut", again, cut, resume=True).step == 4
    assert record_of(tmp_path / "cut") == record_of(tmp_path / "whole")
    for mine, other in zip(weights_of(again), weights_of(parts), strict=True):
        assert torch.equal(mine, other)
    finished = list[int]()
    assert ran(tmp_path / "cut", parts_of(STEPS), finished, resume=True).step == 4 and finished == [4]
