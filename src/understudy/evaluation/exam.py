"""A suite ready to be put to somebody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from understudy.evaluation.journal import Journal
from understudy.evaluation.samples import SampleRecord
from understudy.protocols import Environment, Scorer, Task
from understudy.recipe import Suite
from understudy.rollouts import FinishReason, Rollout
from understudy.tasks import Verifier

VOTING = ("exact", "regex", "numeric", "math", "choice")
"""Kinds of verifiers that read an answer on which several attempts can agree."""


@dataclass(frozen=True)
class Exam:
    """A suite ready to be put.

    Args:
        suite: how it is answered. tasks: its problems. verifier: judges completions.
        environment: makes the world of one attempt; None takes one turn judged by ``verifier``.
        max_completion_length: where the suite names none. max_turns: of an attempt.
        completions: one gold completion a problem, for kind ``nll``. teacher: for kind ``reverse_kl``.
        route: which of several teachers answers for an attempt; None for its domain's.
    """

    suite: Suite
    tasks: Sequence[Task]
    verifier: Verifier | None
    environment: Callable[[], Environment] | None = None
    max_completion_length: int = 256
    max_turns: int = 1
    completions: Sequence[str] = ()
    teacher: Scorer | None = None
    route: Callable[[Rollout], str] | None = None

    @property
    def num_attempts(self) -> int:
        """How many completions it takes."""
        return len(self.tasks) * self.suite.num_samples


def voting(samples: Sequence[SampleRecord], suite: Suite) -> list[SampleRecord]:
    """The samples with their answers where these are votes, and without them where they are not."""
    if suite.verifier.kind in VOTING and suite.environment is None:
        return list(samples)
    return [replace(sample, answer=None) for sample in samples]


def known_samples(journal: Journal, attempts: Sequence[Task]) -> dict[int, SampleRecord]:
    """What need not be asked again: kept samples of these attempts, but for those that never got an answer."""
    return {
        number: journal.samples[number]
        for number, task in enumerate(attempts)
        if number in journal.samples
        and journal.samples[number].problem == task.problem
        and journal.samples[number].finish_reason is not FinishReason.FAILED
    }
