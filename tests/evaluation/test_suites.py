"""Suites keep every sample; comparisons pair by problem; the summary has the contract's keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from understudy.errors import DataError
from understudy.evaluation import (
    SuiteResult,
    compare,
    evaluate_suite,
    read_suite_result,
    suite_summary,
    summary,
    write_suite_result,
    write_summary,
)
from understudy.evaluation.examination import figures_of
from understudy.evaluation.summary import BestCheckpoint
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.tasks import Verdict


def decode(ids: Tensor) -> str:
    return "".join(chr(int(id)) for id in ids)


def attempt(task: Task, text: str, *, correct: bool | None, reward: float | None = None, cut: bool = False) -> Rollout:
    ids = torch.tensor([ord(character) for character in text], dtype=torch.int64)
    reason = FinishReason.LENGTH if cut else FinishReason.STOP
    turn = Turn(
        prompt_ids=torch.tensor([1]),
        completion_ids=ids,
        origin=torch.full_like(ids, Origin.STUDENT),
        behaviour_logprob=torch.zeros(len(ids)),
        weight_version=torch.zeros_like(ids),
        finish_reason=reason,
    )
    return Rollout(
        key=0, group=0, problem=task.problem, turns=(turn,), finish_reason=reason, reward=reward, correct=correct
    )


def tasks(count: int) -> list[Task]:
    return [Task(problem=f"p{number}", prompt=f"{number}?") for number in range(count)]


def played(right: Sequence[Sequence[bool]], name: str = "suite") -> SuiteResult:
    """A suite in which attempt a at problem p is right as ``right[p][a]`` says."""
    flat = [answer for answers in right for answer in answers]

    def play(attempts: Sequence[Task]) -> list[Rollout]:
        return [attempt(t, "#1" if ok else "?", correct=ok) for t, ok in zip(attempts, flat, strict=True)]

    return evaluate_suite(
        tasks(len(right)),
        name=name,
        play=play,
        decode=decode,
        num_samples=len(right[0]),
        read=lambda problem, text: Verdict(0.0, None, text if text.startswith("#") else None),
    )


def test_avg_at_k_is_the_mean_of_problem_means() -> None:
    result = played([[True, True, False, False], [True, True, True, True], [False, False, False, True]])
    assert dict(result.scores) == {"p0": 0.5, "p1": 1.0, "p2": 0.25}
    assert result.estimate.mean == pytest.approx(1.75 / 3)
    assert result.estimate.n == 3  # problems, not samples
    assert len(result.samples) == 12
    assert result.parse_failure_rate == pytest.approx(5 / 12)


def test_one_sample_a_problem_gets_wilsons_interval() -> None:
    result = played([[True]] * 8 + [[False]] * 2)
    assert (result.estimate.low, result.estimate.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_rewards_without_a_verdict_get_a_mean_interval() -> None:
    def play(attempts: Sequence[Task]) -> list[Rollout]:
        return [attempt(t, "x", correct=None, reward=r) for t, r in zip(attempts, [1.0, 2.0, 3.0], strict=True)]

    result = evaluate_suite(tasks(3), name="rubric", play=play, decode=decode)
    assert result.estimate.mean == 2.0 and result.estimate.high == pytest.approx(2 + 4.302653 / 3**0.5)
    assert result.parse_failure_rate is None


def test_truncation_and_failures_are_counted() -> None:
    failed = Rollout(key=0, group=0, problem="p1", turns=(), finish_reason=FinishReason.FAILED)

    def play(attempts: Sequence[Task]) -> list[Rollout]:
        return [attempt(attempts[0], "12", correct=False, cut=True), failed]

    result = evaluate_suite(
        tasks(2), name="s", play=play, decode=decode, read=lambda problem, text: Verdict(0.0, None, text)
    )
    assert result.truncation_rate == 0.5
    assert dict(result.scores) == {"p0": 0.0, "p1": 0.0}
    assert [sample.parsed for sample in result.samples] == [True, False]
    assert [sample.num_tokens for sample in result.samples] == [2, 0]


def test_a_suite_refuses_what_it_cannot_pair() -> None:
    def ungraded(attempts: Sequence[Task]) -> list[Rollout]:
        return [attempt(task, "x", correct=None) for task in attempts]

    def reordered(attempts: Sequence[Task]) -> list[Rollout]:
        return [attempt(task, "x", correct=True) for task in reversed(attempts)]

    with pytest.raises(DataError, match="nothing graded the rollout of 'p0'"):
        evaluate_suite(tasks(2), name="s", play=ungraded, decode=decode)
    with pytest.raises(DataError, match="not those of its tasks"):
        evaluate_suite(tasks(2), name="s", play=reordered, decode=decode)
    with pytest.raises(DataError, match="nothing to play"):
        evaluate_suite([], name="s", play=ungraded, decode=decode)
    with pytest.raises(DataError, match=r"twice.*'p0'"):
        evaluate_suite([*tasks(2), *tasks(1)], name="s", play=ungraded, decode=decode)


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    result = played([[True, False], [True, True]])
    path = tmp_path / "evaluation" / "suite.json"
    write_suite_result(result, path)
    assert read_suite_result(path) == result
    content = json.loads(path.read_text())
    assert content["mean"] == 0.75 and content["samples"][1] == {
        "problem": "p0",
        "completions": ["?"],
        "reward": 0.0,
        "correct": False,
        "finish_reason": "stop",
        "num_tokens": 1,
        "parsed": False,
    }
    assert [file.name for file in path.parent.iterdir()] == ["suite.json"]  # nothing is left beside


def test_a_broken_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    write_suite_result(played([[True]]), path)
    for text in ("{", path.read_text().replace("stop", "halt"), "[]", path.read_text().replace('"reward"', '"prize"')):
        path.write_text(text)
        with pytest.raises(DataError, match=r"suite\.json is not a suite's result"):
            read_suite_result(path)
    with pytest.raises(DataError):
        read_suite_result(tmp_path / "absent.json")


def test_comparison_counts_problems() -> None:
    after = played([[True, True], [True, False], [False, False], [True, True]])
    before = played([[True, False], [False, True], [False, True], [False, False]])
    result = compare(after, before)
    assert (result.wins, result.ties, result.losses) == (2, 1, 1)
    assert result.margin == 0.25
    mirrored = compare(before, after)
    assert (mirrored.wins, mirrored.losses) == (1, 2)
    lower = compare(replace(after, better="lower"), replace(before, better="lower"))
    assert (lower.wins, lower.ties, lower.losses) == (1, 1, 2)


def test_a_model_ties_with_itself() -> None:
    result = played([[True], [False], [True]])
    against_itself = compare(result, result)
    assert (against_itself.ties, against_itself.margin, against_itself.p_value) == (3, 0.0, 1.0)
    assert against_itself.margin_low <= 0 <= against_itself.margin_high


def test_different_problems_are_refused() -> None:
    with pytest.raises(DataError, match=r"not of the same problems; got 3 and 2 problems, 1 .*'p2'"):
        compare(played([[True]] * 3), played([[True]] * 2))
    with pytest.raises(DataError, match="which score is better"):
        compare(played([[True]]), replace(played([[True]]), better="lower"))


def test_summary_has_the_contracts_keys(tmp_path: Path) -> None:
    teacher, before, after = played([[True]] * 4), played([[False]] * 4), played([[True]] * 3 + [[False]])
    content = summary(
        name="demo",
        method="opd",
        seed=3,
        steps=40,
        seconds=12.5,
        suites={"s": suite_summary(after=after, before=before, teacher=teacher), "t": suite_summary(after=after)},
    )
    write_summary(content, tmp_path / "runs" / "summary.json")
    read = json.loads((tmp_path / "runs" / "summary.json").read_text())
    assert list(read) == ["name", "method", "seed", "steps", "seconds", "suites"]
    assert set(read["suites"]["s"]) == {"better", "teacher", "before", "after", "paired", "lengths"}
    assert set(read["suites"]["t"]) == {"better", "after", "lengths"}
    assert read["suites"]["s"]["better"] == "higher"
    assert read["suites"]["s"]["after"]["mean"] == 0.75 and read["suites"]["s"]["after"]["n"] == 4
    assert read["suites"]["s"]["paired"]["wins"] == 3 and read["suites"]["s"]["paired"]["p_value"] == 0.25


def test_what_agents_did_is_told_by_hand() -> None:
    """Two problems of two domains: turns 1 and 3, tokens 1 and 3; two of five actions invalid."""
    first, second = (replace(task, domain=domain) for task, domain in zip(tasks(2), ("heat", "cool"), strict=True))

    def play(_: Sequence[Task]) -> list[Rollout]:
        won = replace(attempt(first, "#", correct=True), domain="heat", extra={"agent": {"steps": 1}})
        tally = {"steps": 4, "malformed": 1, "inadmissible": 1, "repeated": 2, "won": None, "world": {}}
        lost = replace(attempt(second, "?", correct=False), domain="cool", extra={"agent": tally})
        return [won, replace(lost, turns=lost.turns * 3)]

    result = evaluate_suite([first, second], name="house", play=play, decode=decode)
    assert (result.mean_turns, result.mean_tokens) == (2.0, 2.0)
    assert result.invalid_rate == pytest.approx(2 / 5) and len(result.scores) == 2
    assert result.to_json()["by_domain"] == {"cool": 0.0, "heat": 1.0}
    figures = figures_of(result)
    assert figures["eval/house/score/heat"] == 1.0 and figures["eval/house/mean_turns"] == 2.0
    assert figures["eval/house/invalid_rate"] == pytest.approx(2 / 5)


def test_the_best_checkpoint_stands_beside_the_last_one() -> None:
    best, last = played([[True], [True], [False]], name="seen"), played([[True], [False], [False]], name="seen")
    other = played([[False], [False], [True]], name="unseen")
    content = summary(
        name="n",
        method="opd",
        seed=0,
        steps=30,
        planned_steps=50,
        seconds=1.0,
        suites={"seen": suite_summary(after=last)},
        best=BestCheckpoint(20, "seen", {"seen": best, "unseen": other}),
    )
    assert content["planned_steps"] == 50
    found = content["best"]
    assert isinstance(found, dict) and (found["step"], found["chosen_on"]) == (20, "seen")
    assert found["suites"]["seen"]["mean"] == pytest.approx(2 / 3)
    assert found["suites"]["unseen"] == {
        "better": "higher", **other.estimate.to_json(), "mean_turns": 1.0, "mean_tokens": pytest.approx(4 / 3)
    }  # fmt: skip
    suites = content["suites"]
    assert isinstance(suites, dict) and suites["seen"]["lengths"]["after"]["mean_turns"] == 1.0
