"""A suite played: every sample kept, one score a problem, an interval over problems."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch import Tensor

from understudy.errors import DataError
from understudy.evaluation.agents import actions_of, invalid_rate_of, mean_turns_of, scores_by_domain
from understudy.evaluation.attempts import Majority, majority, pass_at_estimate, run_to_run_error
from understudy.evaluation.samples import SampleRecord, sample_of
from understudy.evaluation.statistics import Estimate, clustered_interval, mean_interval, wilson_interval
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Rollout
from understudy.tasks import Verdict
from understudy.written_whole import write_whole

Better = Literal["higher", "lower"]
Reader = Callable[[str, str], Verdict]
"""(problem, text of the last turn) -> what a verifier says of it."""

_NAMED = 20
"""Failed problems that a result names; the samples have all of them."""


@dataclass(frozen=True)
class SuiteResult:
    """What one model did on one suite.

    Args:
        name: of the suite. better: which direction of the score is better. samples: every one of them.
        about: where it comes from: model, fingerprint, suite's version, settings.
    """

    name: str
    better: Better
    samples: tuple[SampleRecord, ...]
    about: Mapping[str, object] = field(default_factory=dict, compare=False)

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

    @property
    def k(self) -> int:
        """Attempts at each problem; the fewest where they differ."""
        return min(of for of, _ in self._counts.values())

    @property
    def run_to_run_error(self) -> float | None:
        """Standard error over runs on these very problems; None with one attempt each. See ``run_to_run_error``."""
        return run_to_run_error(self.samples)

    @property
    def pass_at(self) -> Mapping[int, Estimate]:
        """pass@1, 2, 4, ... up to k; empty where a reward, not right or wrong, is the score."""
        if any(sample.correct is None for sample in self.samples):
            return {}
        powers = [2**power for power in range(self.k.bit_length()) if 2**power < self.k]
        return {k: pass_at_estimate(list(self._counts.values()), k) for k in (*powers, self.k)}

    @property
    def majority(self) -> Majority | None:
        """The majority's answers; None with fewer than two attempts each, or where answers are no votes."""
        has_votes = any(sample.answer is not None for sample in self.samples)
        return majority(self.samples) if has_votes and self.k > 1 else None

    @property
    def shares(self) -> Mapping[str, tuple[int, int]]:
        """The samples' further counts, summed: how many, of how many."""
        sums: dict[str, tuple[int, int]] = {}
        for sample in self.samples:
            for name, (count, of) in sample.shares.items():
                so_far = sums.get(name, (0, 0))
                sums[name] = (so_far[0] + count, so_far[1] + of)
        return sums

    @property
    def failed(self) -> Mapping[str, str]:
        """Problems with an attempt that never got an answer, each with the last reason."""
        lost = [sample for sample in self.samples if sample.finish_reason is FinishReason.FAILED]
        return {sample.problem: sample.error or "failed" for sample in lost}

    @property
    def mean_turns(self) -> float | None:
        """Mean completions of an attempt; None where the model wrote none in any."""
        return mean_turns_of(self.samples)

    @property
    def mean_tokens(self) -> float:
        """Mean tokens that the model wrote in an attempt."""
        return sum(sample.num_tokens for sample in self.samples) / max(1, len(self.samples))

    @property
    def invalid_rate(self) -> float | None:
        """Share of an agent's actions that were malformed or inadmissible; None where nobody tallied."""
        return invalid_rate_of(self.samples)

    @cached_property
    def _counts(self) -> Mapping[str, tuple[int, int]]:
        counts: dict[str, tuple[int, int]] = {}
        for sample in self.samples:
            of, correct = counts.get(sample.problem, (0, 0))
            counts[sample.problem] = (of + 1, correct + bool(sample.correct))
        return counts

    def to_json(self) -> dict[str, object]:
        """Figures first, then every sample."""
        votes, lost = self.majority, self.failed
        return {
            "name": self.name,
            "better": self.better,
            **self.estimate.to_json(),
            "num_samples": len(self.samples),
            "truncation_rate": self.truncation_rate,
            "parse_failure_rate": self.parse_failure_rate,
            "mean_turns": self.mean_turns,
            "mean_tokens": self.mean_tokens,
            "invalid_rate": self.invalid_rate,
            "by_domain": scores_by_domain(self.scores, self.samples),
            "k": self.k,
            "run_to_run_error": self.run_to_run_error,
            "pass_at": {str(k): estimate.to_json() for k, estimate in self.pass_at.items()},
            "majority": None if votes is None else votes.to_json(),
            "shares": {
                name: {"share": count / of if of else None, "count": count, "of": of}
                for name, (count, of) in self.shares.items()
            },
            "num_failed": len(lost),
            "failed": dict(list(lost.items())[:_NAMED]),
            "about": dict(self.about),
            "samples": [sample.to_json() for sample in self.samples],
        }


def evaluate_suite(
    tasks: Sequence[Task],
    *,
    name: str,
    play: Callable[[Sequence[Task]], Sequence[Rollout]],
    decode: Callable[[Tensor], str],
    num_samples: int = 1,
    better: Better = "higher",
    read: Reader | None = None,
) -> SuiteResult:
    """Play every problem ``num_samples`` times and keep all samples.

    Args:
        tasks: problems, each identifier once. play: gives one graded rollout a task, in order; temperature and
            limits are its own business. decode: ids of one completion to text, without special tokens.
        read: what a verifier says of the last turn; None where nothing looks for an answer.
    Raises:
        DataError: no tasks, one identifier twice, a rollout that nothing graded or that belongs to another task.
    """
    check_problems(tasks, name=name, num_samples=num_samples)
    attempts = [task for task in tasks for _ in range(num_samples)]
    samples = played_samples(attempts, play, name=name, decode=decode, read=read)
    return SuiteResult(name, better, samples)


def check_problems(tasks: Sequence[Task], *, name: str, num_samples: int) -> None:
    """Raise DataError where a suite has no problems, no samples, or one identifier twice."""
    identifiers = [task.problem for task in tasks]
    if not identifiers or num_samples < 1:
        raise DataError(f"suite {name!r} has nothing to play", got=f"{len(tasks)} problems x {num_samples} samples")
    if len(set(identifiers)) < len(identifiers):
        twice = next(problem for problem in identifiers if identifiers.count(problem) > 1)
        raise DataError(f"suite {name!r} has one problem identifier twice", got=repr(twice))


def played_samples(
    attempts: Sequence[Task],
    play: Callable[[Sequence[Task]], Sequence[Rollout]],
    *,
    name: str,
    decode: Callable[[Tensor], str],
    read: Reader | None = None,
) -> tuple[SampleRecord, ...]:
    """One record an attempt; arguments and errors as of ``evaluate_suite``."""
    rollouts = play(attempts)
    if [rollout.problem for rollout in rollouts] != [task.problem for task in attempts]:
        raise DataError(f"the rollouts of suite {name!r} are not those of its tasks", expected="one a task, in order")
    return tuple(_record(rollout, decode, read) for rollout in rollouts)


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
        samples = tuple(sample_of(entry) for entry in content["samples"])
        return SuiteResult(content["name"], content["better"], samples, content.get("about", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not a suite's result",
            got=f"{type(error).__name__}: {error}",
            expected="evaluation/*.json of a run",
        ) from error


def write_json(content: object, path: Path) -> None:
    """Write strict JSON (no NaN, no infinity) atomically; folders are made.

    Raises:
        DiskError: the disk refuses; a file that was there is as it was.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    # Halves of surrogate pairs, which JSON read elsewhere may hold, are written as JSON escapes them.
    remedy = "Make room or give permission, then give the command again (`train` with --resume)."
    write_whole(path, text, remedy=remedy, errors="backslashreplace")


def _record(rollout: Rollout, decode: Callable[[Tensor], str], read: Reader | None) -> SampleRecord:
    if rollout.finish_reason is not FinishReason.FAILED and rollout.correct is None and rollout.reward is None:
        raise DataError(
            f"nothing graded the rollout of {rollout.problem!r}", remedy="Give the suite's data a verifier."
        )
    failed = rollout.correct is None and rollout.reward is None
    correct = False if failed else rollout.correct
    completions = tuple(decode(turn.completion_ids) for turn in rollout.turns)
    # What failed has no verdict, and a verifier that raised once would raise again.
    verdict = read(rollout.problem, completions[-1]) if read is not None and completions and not failed else None
    error = rollout.extra.get("environment_error")
    return SampleRecord(
        problem=rollout.problem,
        completions=completions,
        reward=float(correct or 0) if rollout.reward is None else rollout.reward,
        correct=correct,
        finish_reason=rollout.finish_reason,
        num_tokens=sum(turn.completion_ids.numel() for turn in rollout.turns),
        parsed=None if read is None else verdict is not None and verdict.parsed is not None,
        answer=None if verdict is None else verdict.parsed,
        shares={} if verdict is None else verdict.shares,
        domain=rollout.domain,
        actions=actions_of(rollout),
        error=str(error) if failed and error is not None else None,
    )


def _share(flags: object) -> float:
    values = [bool(flag) for flag in flags]  # type: ignore[attr-defined]
    return sum(values) / len(values) if values else 0.0
