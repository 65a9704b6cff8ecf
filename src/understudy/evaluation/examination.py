"""A suite's problems put to a sampler: prompts in, graded samples out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from transformers import PreTrainedTokenizerBase

from understudy.environments.episodes import Episode, from_completions, play
from understudy.environments.single_turn import SingleTurn
from understudy.errors import CapabilityError
from understudy.evaluation.agents import scores_by_domain
from understudy.evaluation.endpoint import Endpoint
from understudy.evaluation.exam import Exam, known_samples, voting
from understudy.evaluation.journal import Journal
from understudy.evaluation.judging import Judge
from understudy.evaluation.samples import SampleRecord, lost_sample
from understudy.evaluation.scored import nll_result, reverse_kl_result
from understudy.evaluation.served import served_samples
from understudy.evaluation.suites import SuiteResult, check_problems, played_samples
from understudy.models.chat import decode, encode_prompt
from understudy.protocols import Sampler, SamplingParams, Scorer, Task
from understudy.randomness import derived_seed
from understudy.recipe import Suite
from understudy.rollouts import Rollout

Progress = Callable[[int], None]

BATCH = 256
"""Attempts that are played together where samples are kept as they come."""


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


def examine(
    exam: Exam,
    examinee: Examinee | Endpoint,
    *,
    seed: int,
    progress: Progress | None = None,
    journal: Journal | None = None,
    about: Mapping[str, object] | None = None,
) -> SuiteResult:
    """Every problem of the suite, ``num_samples`` times; the same seed gives every examinee the same random numbers.

    Args:
        journal: keeps samples as they come, and has those that need not be asked again.
        about: of the result.
    Raises:
        DataError: the suite has no problems, or nothing grades it. CapabilityError: a kind of suite that this examinee
            cannot take.
    """
    suite, keyed = exam.suite, derived_seed(seed=seed, step=0, purpose=exam.suite.name)
    if isinstance(examinee, Endpoint):
        samples = served_samples(exam, examinee, seed=keyed, progress=progress, journal=journal)
        return SuiteResult(suite.name, suite.better, samples, about or {})
    if suite.kind == "nll":
        return _examine_nll(exam, examinee, progress)
    if suite.kind == "reverse_kl":
        attempts = [task for task in exam.tasks for _ in range(suite.num_samples)]
        rollouts = _play(exam, examinee, attempts, seed=keyed, progress=progress)
        student, teacher = _known(examinee.scorer, suite), _known(exam.teacher, suite)
        routes = [exam.route(rollout) if exam.route else rollout.domain for rollout in rollouts]
        return reverse_kl_result(suite.name, rollouts, student, teacher, routes=routes)
    samples = _local_samples(exam, examinee, seed=keyed, progress=progress, journal=journal)
    return SuiteResult(suite.name, suite.better, samples, about or {})


def _local_samples(
    exam: Exam, examinee: Examinee, *, seed: int, progress: Progress | None, journal: Journal | None
) -> tuple[SampleRecord, ...]:
    suite, judge = exam.suite, None if exam.verifier is None else Judge(exam.verifier)
    tasks = [in_words_of(examinee.tokenizer, task, suite) for task in exam.tasks]
    check_problems(tasks, name=suite.name, num_samples=suite.num_samples)
    attempts = [task for task in tasks for _ in range(suite.num_samples)]
    columns = {task.problem: task.columns for task in tasks}
    known = {} if journal is None else known_samples(journal, attempts)
    if journal is not None and exam.environment is None:
        known |= _without_room(attempts, examinee)
    if progress and known:
        progress(len(known))
    missing = [number for number in range(len(attempts)) if number not in known]
    for batch in _batches(missing, len(missing) if journal is None else BATCH):
        samples = played_samples(
            [attempts[number] for number in batch],
            partial(_play, exam, examinee, seed=seed, progress=progress, numbers=batch, judge=judge),
            name=suite.name,
            decode=lambda ids: decode(examinee.tokenizer, ids),
            read=None if judge is None else (lambda problem, text: judge(text, columns[problem])),
        )
        found = dict(zip(batch, voting(samples, suite), strict=True))
        if journal is not None:
            journal.add(found)
        known |= found
    return tuple(known[number] for number in range(len(attempts)))


def _without_room(attempts: Sequence[Task], examinee: Examinee) -> dict[int, SampleRecord]:
    """Failed records of the attempts whose prompt fills the context; none where that is all of them.

    In a run the sampler refuses such a prompt, for a recipe can be mended; here one question must not cost the others.
    """
    errors: dict[str, str] = {}
    problems = {task.problem: task for task in attempts}
    for problem, task in problems.items():
        length = encode_prompt(
            examinee.tokenizer, task.prompt, chat_template_kwargs=examinee.chat_template_kwargs
        ).numel()
        if length >= examinee.max_length:
            errors[problem] = f"a prompt of {length} tokens leaves no room in a context of {examinee.max_length}"
    if len(errors) == len(problems):
        return {}
    return {
        n: lost_sample(task.problem, errors[task.problem]) for n, task in enumerate(attempts) if task.problem in errors
    }


def _batches(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), max(1, size)):
        yield numbers[start : start + size]


def in_words_of(tokenizer: PreTrainedTokenizerBase, task: Task, suite: Suite) -> Task:
    """The task in plain text where the suite leaves the form open and the model has no chat template."""
    if suite.chat != "auto" or tokenizer.chat_template or isinstance(task.prompt, str):
        return task
    return replace(task, prompt="\n\n".join(str(message["content"]) for message in task.prompt) + "\n")


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
    exam: Exam,
    examinee: Examinee,
    attempts: Sequence[Task],
    *,
    seed: int,
    progress: Progress | None,
    numbers: Sequence[int] | None = None,
    judge: Judge | None = None,
) -> list[Rollout]:
    suite = exam.suite
    keys = range(len(attempts)) if numbers is None else numbers
    params = SamplingParams(
        max_completion_length=suite.max_completion_length or exam.max_completion_length,
        temperature=suite.temperature,
        top_p=suite.top_p,
        stop_ids=examinee.stop_ids,
    )
    return play(
        [
            Episode(task, key=number, group=number // suite.num_samples)
            for number, task in zip(keys, attempts, strict=True)
        ],
        environment_factory=exam.environment or partial(SingleTurn, judge or exam.verifier),
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
    if result.mean_turns is not None:
        figures |= {f"{prefix}/mean_turns": result.mean_turns, f"{prefix}/mean_tokens": result.mean_tokens}
    if result.invalid_rate is not None:
        figures[f"{prefix}/invalid_rate"] = result.invalid_rate
    by_domain = scores_by_domain(result.scores, result.samples)
    return figures | {f"{prefix}/score/{domain}": score for domain, score in by_domain.items()}
