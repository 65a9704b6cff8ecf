"""What a model can do: its answers to held-out problems, and how far they are from its teacher's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from understudy.bench.results import Measured, Performance
from understudy.bench.settings import Domain
from understudy.build import model_named
from understudy.engines.local import LocalScorer
from understudy.environments.episodes import Episode, play
from understudy.environments.single_turn import SingleTurn
from understudy.evaluation.examination import Examinee
from understudy.protocols import SamplingParams, Scorer, ScoreRequest, Task
from understudy.randomness import derived_seed
from understudy.recipe import Engine
from understudy.rollouts import FinishReason, Rollout, contexts_of
from understudy.tasks import verifier_from
from understudy.testbed import dataset_named, tasks
from understudy.tokens import batch_of


@dataclass(frozen=True)
class Exam:
    """The problems that every contender answers.

    Args:
        domains: in order. split: ``eval``, or ``validation`` for choosing settings. problems: of each domain.
        max_completion_length: in tokens.
    """

    domains: tuple[Domain, ...]
    split: str
    problems: int
    max_completion_length: int


class Examiner:
    """Puts exams to one model after the other; teachers are loaded once.

    Args:
        exam: the problems. engine: how teachers are loaded.
    """

    def __init__(self, exam: Exam, engine: Engine) -> None:
        self._exam = exam
        models = dict.fromkeys(domain.teacher for domain in exam.domains)
        budget = engine.micro_batch_tokens
        scorers = {name: LocalScorer(model_named(name, engine), token_budget=budget) for name in models}
        self._teachers: Mapping[str, Scorer] = {domain.name: scorers[domain.teacher] for domain in exam.domains}
        self._tasks = {d.name: tasks(d.dataset, exam.split, limit=exam.problems) for d in exam.domains}

    def performances(self, examinee: Examinee, *, seed: int) -> dict[str, Performance]:
        """By domain; the same seed gives every examinee the same random numbers."""
        return {
            domain.name: Performance(
                greedy=self._measured(examinee, domain, self._tasks[domain.name], temperature=0.0, seed=seed),
                sampled=self._measured(examinee, domain, self._tasks[domain.name], temperature=1.0, seed=seed),
            )
            for domain in self._exam.domains
        }

    def probed(self, examinee: Examinee, *, problems: int, seed: int) -> Measured:
        """A few problems of the first domain, at temperature 1."""
        domain = self._exam.domains[0]
        return self._measured(examinee, domain, self._tasks[domain.name][:problems], temperature=1.0, seed=seed)

    def _measured(
        self, examinee: Examinee, domain: Domain, problems: Sequence[Task], *, temperature: float, seed: int
    ) -> Measured:
        rollouts = self._answers(examinee, domain, problems, temperature=temperature, seed=seed)
        lengths = [sum(turn.completion_ids.numel() for turn in rollout.turns) for rollout in rollouts]
        distances: tuple[float | None, float | None] = (None, None)
        if temperature > 0 and examinee.scorer is not None:
            distances = distance_and_entropy(rollouts, examinee.scorer, self._teachers[domain.name])
        return Measured(
            correct=tuple(int(bool(rollout.correct)) for rollout in rollouts),
            length=sum(lengths) / len(lengths),
            truncated=sum(rollout.finish_reason is FinishReason.LENGTH for rollout in rollouts) / len(rollouts),
            reverse_kl=distances[0],
            entropy=distances[1],
        )

    def _answers(
        self, examinee: Examinee, domain: Domain, problems: Sequence[Task], *, temperature: float, seed: int
    ) -> list[Rollout]:
        verifier = verifier_from(dataset_named(domain.dataset).verifier, None)
        params = SamplingParams(
            max_completion_length=self._exam.max_completion_length,
            temperature=temperature,
            stop_ids=examinee.stop_ids,
        )
        return play(
            [Episode(task, key=number, group=number) for number, task in enumerate(problems)],
            environment_factory=partial(SingleTurn, verifier),
            sampler=examinee.sampler,
            params=params,
            tokenizer=examinee.tokenizer,
            seed=derived_seed(seed=seed, step=0, purpose=f"bench/{domain.name}"),
            step=0,
            max_length=examinee.max_length,
            chat_template_kwargs=examinee.chat_template_kwargs,
        )


def distance_and_entropy(rollouts: Sequence[Rollout], student: Scorer, teacher: Scorer) -> tuple[float, float]:
    """Mean log pi_S - log pi_T and mean entropy of pi_S over all tokens of these answers, nats; 0 where there are none.

    Both are of full-vocabulary softmaxes at temperature 1.
    """
    contexts = contexts_of(rollouts)
    table = batch_of(rollouts, contexts).table
    if table.num_tokens == 0:
        return 0.0, 0.0
    ids = [context.ids for context in contexts]
    own = student.score(ScoreRequest(ids, table["context"], table["position"], entropy=True))
    theirs = teacher.score(ScoreRequest(ids, table["context"], table["position"]))
    assert own.entropy is not None
    return float((own.sampled - theirs.sampled).double().mean()), float(own.entropy.double().mean())
