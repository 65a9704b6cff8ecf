"""A suite played: every sample kept, one score a problem, an interval over problems."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch import Tensor

from understudy.errors import DataError, UnderstudyError
from understudy.evaluation.statistics import Estimate, clustered_interval, mean_interval, wilson_interval
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Rollout

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class SampleRecord:
    """One attempt at one problem.

    Args:
        problem: identifier. completions: text of each turn. reward: of the whole attempt.
        correct: whether it solved the problem; None where nothing decides that.
        finish_reason: why it ended. num_tokens: that the model wrote.
        parsed: whether an answer could be read from it; None where nobody looked.
    """

    problem: str
    completions: tuple[str, ...]
    reward: float
    correct: bool | None
    finish_reason: FinishReason
    num_tokens: int
    parsed: bool | None = None

    @property
    def score(self) -> float:
        """1 or 0 where correctness is decided, else the reward."""
        return self.reward if self.correct is None else float(self.correct)


@dataclass(frozen=True)
class SuiteResult:
    """What one model did on one suite.

    Args:
        name: of the suite. better: which direction of the score is better. samples: every one of them.
    """

    name: str
    better: Better
    samples: tuple[SampleRecord, ...]

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """Mean score of each problem, in the order of the samples."""
        by_problem: dict[str, list[float]] = defaultdict(list)
        for sample in self.samples:
            by_problem[sample.problem].append(sample.score)
        return {problem: math.fsum(scores) / len(scores) for problem, scores in by_problem.items()}

    @property
    def estimate(self) -> Estimate:
        """avg@k with its interval: Wilson for one yes-or-no sample a problem, else clustered by problem.

        Raises:
            DataError: the suite has no samples.
        """
        means = list(self.scores.values())
        if any(sample.correct is None for sample in self.samples):
            return mean_interval(means)
        if len(self.samples) == len(means):
            return wilson_interval(math.fsum(means), len(means))
        return clustered_interval(means)

    @property
    def truncation_rate(self) -> float:
        """Share of samples cut off by their length limit."""
        return _share(sample.finish_reason is FinishReason.LENGTH for sample in self.samples)

    @property
    def parse_failure_rate(self) -> float | None:
        """Share of samples without a readable answer; None where nobody looked."""
        looked = [sample.parsed for sample in self.samples if sample.parsed is not None]
        return _share(not parsed for parsed in looked) if looked else None

    def to_json(self) -> dict[str, object]:
        """Figures first, then every sample."""
        return {
            "name": self.name,
            "better": self.better,
            **self.estimate.to_json(),
            "num_samples": len(self.samples),
            "truncation_rate": self.truncation_rate,
            "parse_failure_rate": self.parse_failure_rate,
            "samples": [asdict(sample) for sample in self.samples],
        }


def evaluate_suite(
    tasks: Sequence[Task],
    *,
    name: str,
    play: Callable[[Sequence[Task]], Sequence[Rollout]],
    decode: Callable[[Tensor], str],
    num_samples: int = 1,
    better: Better = "higher",
    parses: Callable[[str, str], bool] | None = None,
) -> SuiteResult:
    """Play every problem ``num_samples`` times and keep all samples.

    Args:
        tasks: problems, each identifier once. play: gives one graded rollout a task, in order; temperature and
            limits are its own business. decode: ids of one completion to text, without special tokens.
        parses: (problem, text of the last turn) -> whether an answer can be read from it.
    Raises:
        DataError: no tasks, one identifier twice, a rollout that nothing graded or that belongs to another task.
    """
    identifiers = [task.problem for task in tasks]
    if not identifiers or num_samples < 1:
        raise DataError(f"suite {name!r} has nothing to play", got=f"{len(tasks)} problems x {num_samples} samples")
    if len(set(identifiers)) < len(identifiers):
        twice = next(problem for problem in identifiers if identifiers.count(problem) > 1)
        raise DataError(f"suite {name!r} has one problem identifier twice", got=repr(twice))
    attempts = [task for task in tasks for _ in range(num_samples)]
    rollouts = play(attempts)
    if [rollout.problem for rollout in rollouts] != [task.problem for task in attempts]:
        raise DataError(f"the rollouts of suite {name!r} are not those of its tasks", expected="one a task, in order")
    return SuiteResult(name, better, tuple(_record(rollout, decode, parses) for rollout in rollouts))


def write_suite_result(result: SuiteResult, path: Path) -> None:
    """Write the result as JSON, beside first and then renamed, so that no reader ever meets half a file."""
    write_json(result.to_json(), path)


def read_suite_result(path: Path) -> SuiteResult:
    """Read back what ``write_suite_result`` wrote.

    Raises:
        DataError: the file is missing or is not a suite result.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        samples = tuple(_sample_of(entry) for entry in content["samples"])
        return SuiteResult(content["name"], content["better"], samples)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not a suite's result",
            got=f"{type(error).__name__}: {error}",
            expected="evaluation/*.json of a run",
        ) from error


def write_json(content: object, path: Path) -> None:
    """Write strict JSON (no NaN, no infinity) atomically; folders are made.

    Raises:
        UnderstudyError: the disk refuses; a file that was there is as it was.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise UnderstudyError(
            f"{path} cannot be written",
            got=error.strerror or error,
            remedy="Make room or give permission, then go on with --resume.",
        ) from error


def _record(
    rollout: Rollout, decode: Callable[[Tensor], str], parses: Callable[[str, str], bool] | None
) -> SampleRecord:
    if rollout.finish_reason is not FinishReason.FAILED and rollout.correct is None and rollout.reward is None:
        raise DataError(
            f"nothing graded the rollout of {rollout.problem!r}", remedy="Give the suite's data a verifier."
        )
    failed = rollout.correct is None and rollout.reward is None
    correct = False if failed else rollout.correct
    completions = tuple(decode(turn.completion_ids) for turn in rollout.turns)
    return SampleRecord(
        problem=rollout.problem,
        completions=completions,
        reward=float(correct or 0) if rollout.reward is None else rollout.reward,
        correct=correct,
        finish_reason=rollout.finish_reason,
        num_tokens=sum(turn.completion_ids.numel() for turn in rollout.turns),
        parsed=None if parses is None else bool(completions) and parses(rollout.problem, completions[-1]),
    )


def _sample_of(entry: Mapping[str, object]) -> SampleRecord:
    completions, reason = entry["completions"], entry["finish_reason"]
    if not isinstance(completions, list) or not isinstance(reason, str):
        raise TypeError("a sample's completions are a list and its finish reason is a word")
    fields = {**entry, "completions": tuple(completions), "finish_reason": FinishReason(reason)}
    return SampleRecord(**fields)  # type: ignore[arg-type]


def _share(flags: object) -> float:
    values = [bool(flag) for flag in flags]  # type: ignore[attr-defined]
    return sum(values) / len(values) if values else 0.0
