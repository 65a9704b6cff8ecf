"""A suite's problems put to a sampler: prompts in, graded samples out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from transformers import PreTrainedTokenizerBase

from understudy.environments.episodes import Episode, from_completions, play
from understudy.environments.single_turn import SingleTurn
from understudy.errors import CapabilityError
from understudy.evaluation.scored import nll_result, reverse_kl_result
from understudy.evaluation.suites import SuiteResult, evaluate_suite
from understudy.models.chat import decode
from understudy.protocols import Environment, Sampler, SamplingParams, Scorer, Task
from understudy.randomness import derived_seed
from understudy.recipe import Suite
from understudy.rollouts import Rollout
from understudy.tasks import Verifier

Progress = Callable[[int], None]


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


@dataclass(frozen=True)
class Examinee:
    """Who is examined.

    Args:
        sampler: with the weights to examine. tokenizer, stop_ids, max_length: of its model.
        chat_template_kwargs: passed to the chat template. scorer: of the same weights.
    """

    sampler: Sampler
    tokenizer: PreTrainedTokenizerBase
    stop_ids: frozenset[int]
    max_length: int
    chat_template_kwargs: Mapping[str, object] = field(default_factory=dict)
    scorer: Scorer | None = None


def examine(exam: Exam, examinee: Examinee, *, seed: int, progress: Progress | None = None) -> SuiteResult:
    """Every problem of the suite, ``num_samples`` times; the same seed gives every examinee the same random numbers.

    Raises:
        DataError: the suite has no problems, or nothing grades it.
    """
    suite, keyed = exam.suite, derived_seed(seed=seed, step=0, purpose=exam.suite.name)
    if suite.kind == "nll":
        return _examine_nll(exam, examinee, progress)
    if suite.kind == "reverse_kl":
        attempts = [task for task in exam.tasks for _ in range(suite.num_samples)]
        rollouts = _play(exam, examinee, attempts, seed=keyed, progress=progress)
        student, teacher = _known(examinee.scorer, suite), _known(exam.teacher, suite)
        routes = [exam.route(rollout) if exam.route else rollout.domain for rollout in rollouts]
        return reverse_kl_result(suite.name, rollouts, student, teacher, routes=routes)

    def parses(text: str, columns: Mapping[str, object]) -> bool:
        return exam.verifier is not None and exam.verifier(text, columns).parsed is not None

    columns = {task.problem: task.columns for task in exam.tasks}
    return evaluate_suite(
        exam.tasks,
        name=suite.name,
        play=partial(_play, exam, examinee, seed=keyed, progress=progress),
        decode=lambda ids: decode(examinee.tokenizer, ids),
        num_samples=suite.num_samples,
        parses=(lambda problem, text: parses(text, columns[problem])) if exam.verifier is not None else None,
    )


def _examine_nll(exam: Exam, examinee: Examinee, progress: Progress | None) -> SuiteResult:
    rollouts = from_completions(
        [Episode(task, key=number, group=number) for number, task in enumerate(exam.tasks)],
        exam.completions,
        tokenizer=examinee.tokenizer,
        max_length=examinee.max_length,
        chat_template_kwargs=examinee.chat_template_kwargs,
    )
    if progress:
        progress(len(rollouts))
    return nll_result(exam.suite.name, rollouts, _known(examinee.scorer, exam.suite))


def _known(scorer: Scorer | None, suite: Suite) -> Scorer:
    if scorer is None:
        raise CapabilityError(
            f"suite {suite.name!r} of kind {suite.kind!r} needs a scorer",
            expected="a local student, and for reverse_kl a teacher",
            remedy="Examine it within a run that has both.",
        )
    return scorer


def _play(
    exam: Exam, examinee: Examinee, attempts: Sequence[Task], *, seed: int, progress: Progress | None
) -> list[Rollout]:
    suite = exam.suite
    params = SamplingParams(
        max_completion_length=suite.max_completion_length or exam.max_completion_length,
        temperature=suite.temperature,
        top_p=suite.top_p,
        stop_ids=examinee.stop_ids,
    )
    return play(
        [Episode(task, key=number, group=number // suite.num_samples) for number, task in enumerate(attempts)],
        environment_factory=exam.environment or partial(SingleTurn, exam.verifier),
        sampler=examinee.sampler,
        params=params,
        tokenizer=examinee.tokenizer,
        seed=seed,
        step=0,
        progress=progress,
        max_turns=exam.max_turns,
        max_length=examinee.max_length,
        chat_template_kwargs=examinee.chat_template_kwargs,
    )


def figures_of(result: SuiteResult) -> dict[str, float]:
    """What of a result goes into the metrics, ``eval/<suite>/...``."""
    estimate = result.estimate
    prefix = f"eval/{result.name}"
    figures = {
        f"{prefix}/mean": estimate.mean,
        f"{prefix}/low": estimate.low,
        f"{prefix}/high": estimate.high,
        f"{prefix}/truncation_rate": result.truncation_rate,
    }
    if result.parse_failure_rate is not None:
        figures[f"{prefix}/parse_failure_rate"] = result.parse_failure_rate
    return figures
