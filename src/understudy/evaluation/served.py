"""A suite put to a model behind an address: every reply judged and kept as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from understudy.errors import CapabilityError, EnvironmentFailedError
from understudy.evaluation.endpoint import Drawing, Endpoint, Reply
from understudy.evaluation.exam import Exam, known_samples, voting
from understudy.evaluation.journal import Journal
from understudy.evaluation.judging import Judge
from understudy.evaluation.samples import SampleRecord, lost_sample
from understudy.evaluation.suites import check_problems
from understudy.protocols import Prompt, Task

AT_ONCE = 4
"""Questions under way or waiting for each slot of the server; samples are kept when so many have been judged."""


def served_samples(
    exam: Exam,
    endpoint: Endpoint,
    *,
    seed: int,
    progress: Callable[[int], None] | None = None,
    journal: Journal | None = None,
) -> tuple[SampleRecord, ...]:
    """One record an attempt, in order.

    Raises:
        CapabilityError: the suite needs more than completions. ServerDownError: nobody is there.
    """
    suite, verifier = exam.suite, exam.verifier
    if suite.kind != "accuracy" or exam.environment is not None or verifier is None:
        raise CapabilityError(
            f"suite {suite.name!r} cannot be put to a server",
            expected="a suite of kind accuracy with a verifier and without an environment",
            remedy="Examine the model in this process.",
        )
    check_problems(exam.tasks, name=suite.name, num_samples=suite.num_samples)
    attempts, judge = [task for task in exam.tasks for _ in range(suite.num_samples)], Judge(verifier)
    known = {} if journal is None else known_samples(journal, attempts)
    if progress and known:
        progress(len(known))
    drawing = Drawing(suite.temperature, suite.top_p, suite.max_completion_length or exam.max_completion_length)
    missing = [number for number in range(len(attempts)) if number not in known]
    size = AT_ONCE * endpoint.client.settings.max_concurrency
    for start in range(0, len(missing), size):
        begun: dict[int, Callable[[], SampleRecord]] = {}

        def ended(number: int, reply: Reply, begun: dict[int, Callable[[], SampleRecord]] = begun) -> None:
            begun[number] = _judged(judge, attempts[number], reply)
            if progress:
                progress(1)

        prompts: Mapping[int, Prompt] = {number: attempts[number].prompt for number in missing[start : start + size]}
        try:
            endpoint.replies(prompts, drawing, seed=seed, ended=ended)
        finally:
            found = {number: voting([sample()], suite)[0] for number, sample in begun.items()}
            if journal is not None:
                journal.add(found)
        known |= found
    return tuple(known[number] for number in range(len(attempts)))


def _judged(judge: Judge, task: Task, reply: Reply) -> Callable[[], SampleRecord]:
    """Start to judge a reply; the function that comes back waits for the record."""
    if reply.error is not None:
        reason = reply.error
        return lambda: _lost(task.problem, reply, reason)
    try:
        wait = judge.begin(reply.text, task.columns)
    except EnvironmentFailedError as error:
        failure = str(error)
        return lambda: _lost(task.problem, reply, failure)

    def sample() -> SampleRecord:
        try:
            verdict = wait()
        except EnvironmentFailedError as error:
            return _lost(task.problem, reply, str(error))
        return SampleRecord(
            problem=task.problem,
            completions=(reply.text,),
            reward=verdict.reward,
            correct=verdict.correct,
            finish_reason=reply.finish_reason,
            num_tokens=reply.num_tokens,
            parsed=verdict.parsed is not None,
            answer=verdict.parsed,
            shares=verdict.shares,
        )

    return sample


def _lost(problem: str, reply: Reply, error: str) -> SampleRecord:
    return lost_sample(problem, error, text=reply.text, num_tokens=reply.num_tokens)
