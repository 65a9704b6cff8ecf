"""A handful of fresh rollouts of the student, scored by both sides: what all measured checks look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.build import Assembly
from understudy.environments.episodes import Episode, play
from understudy.environments.openings import prefix_of
from understudy.evaluation.examination import Examinee
from understudy.objectives.needs import Needs
from understudy.objectives.within import sum_before, total_within
from understudy.protocols import Environment, SamplingParams, Scorer, Task
from understudy.recipe import Recipe
from understudy.rollouts import Origin, Rollout, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.training.columns import Scoring, with_late_ids, with_scorer
from understudy.training.views import as_the_student, read_through

PURPOSE_STEP = 1 << 40
"""The step under which the doctor draws: no run ever gets there, so its problems and draws are not those of a run."""


@dataclass(frozen=True, eq=False)
class Probe:
    """Rollouts of the student, with what both sides say of every token.

    Args:
        rollouts: one a problem. table: only the student's tokens, with log-probs, entropies where the teacher gives
            them, and the top k of both (columns as in training). k: 0 where the teacher gives no top k.
        special_ids: tokens that are no text: ends, and what the tokenizer calls special.
        problems: of ``rollouts``. limit: tokens that a completion may have.
    """

    rollouts: Sequence[Rollout]
    table: TokenTable
    k: int
    special_ids: frozenset[int]
    problems: Sequence[Task]
    limit: int

    @property
    def ratio(self) -> Tensor:
        """[N] float64 nats: log pi_T - log pi_S, the signal of on-policy distillation."""
        return (self.table["teacher_logprob"] - self.table["student_logprob"]).double()

    @property
    def place(self) -> Tensor:
        """[N] float64 in [0, 1): how far into its rollout each token stands, those of the table counted alone."""
        rollout = self.table["rollout"]
        ones = torch.ones(self.table.num_tokens)
        before = sum_before(ones, rollout=rollout, index=self.table["index_in_rollout"])
        return before / total_within(ones, rollout)


def probe_tasks(assembly: Assembly, count: int) -> list[Task]:
    """Problems spread evenly over the training data."""
    tasks = assembly.lessons.tasks
    count = min(count, len(tasks))
    return [tasks[number * len(tasks) // count] for number in range(count)]


def probe_of(
    recipe: Recipe,
    assembly: Assembly,
    *,
    teacher: Scorer,
    environment: Callable[[], Environment],
    num_problems: int,
    progress: Callable[[int], None] | None = None,
) -> Probe:
    """Let the student answer, and score its answers.

    Args:
        teacher: of the run. environment: makes the world of an attempt. num_problems: answered once each.
    """
    tasks = probe_tasks(assembly, num_problems)
    rollouts = answers(recipe, assembly.student, tasks, environment=environment, progress=progress)
    k = _width(teacher, assembly)
    tokenizer = assembly.student.tokenizer
    special = {*assembly.student.stop_ids, *(id for id in tokenizer.all_special_ids if id is not None)}
    table = _scored(assembly, rollouts, teacher, k=k, temperature=recipe.rollout.temperature)
    return Probe(rollouts, table, k, frozenset(special), tasks, recipe.rollout.max_completion_length)


def answers(
    recipe: Recipe,
    who: Examinee,
    tasks: Sequence[Task],
    *,
    environment: Callable[[], Environment],
    begun: Sequence[Rollout] = (),
    share: float = 0.0,
    temperature: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Rollout]:
    """One answer a task by the student, or by a teacher that goes on with what another began.

    Args:
        begun: rollouts of the same tasks, whose first completion's first ``share`` is given as its beginning.
        temperature: in place of the recipe's; 0 is greedy.
    """
    rollout = recipe.rollout
    openings = [_opening(one, share) for one in begun] if begun else [None] * len(tasks)
    return play(
        [
            Episode(task, key=number, group=number, opening=opening)
            for number, (task, opening) in enumerate(zip(tasks, openings, strict=True))
        ],
        environment_factory=environment,
        sampler=who.sampler,
        params=SamplingParams(
            max_completion_length=rollout.max_completion_length,
            temperature=rollout.temperature if temperature is None else temperature,
            top_p=rollout.top_p,
            top_k=rollout.top_k,
            stop_ids=who.stop_ids,
        ),
        tokenizer=who.tokenizer,
        seed=recipe.seed,
        step=PURPOSE_STEP,
        author=Origin.STUDENT if not begun else Origin.TEACHER,
        max_turns=rollout.max_turns,
        max_length=who.max_length,
        chat_template_kwargs=who.chat_template_kwargs,
        progress=progress,
    )


def _opening(rollout: Rollout, share: float) -> tuple | None:
    if not rollout.turns:
        return None
    first = rollout.turns[0]
    return prefix_of(first, int(share * first.completion_ids.numel())) or None


def _width(teacher: Scorer, assembly: Assembly) -> int:
    """As many candidates as both sides give, and few enough that agreement on them says something."""
    size = teacher.capabilities.vocab_size or assembly.policy.vocab_size
    most = min(16, max(1, size // 8))
    able = teacher.capabilities
    return min(most, able.top_k, able.at_ids) if able.at_ids else 0


def _scored(
    assembly: Assembly, rollouts: Sequence[Rollout], teacher: Scorer, *, k: int, temperature: float
) -> TokenTable:
    parts = assembly.parts
    contexts = contexts_of(rollouts)
    table = batch_of(rollouts, contexts).table
    routes = [parts.route(rollouts[context.rollout]) for context in contexts]
    own = as_the_student(contexts, table, routes=routes)
    view = parts.views.get("teacher")
    taught = own if view is None else read_through(view, rollouts, contexts, table, routes=routes)
    rows = ((table["origin"] == Origin.STUDENT) & (taught.position >= 1)).nonzero().squeeze(1)
    readings = {"student": own.keep_rows(rows), "teacher": taught.keep_rows(rows)}
    entropies = {"student_entropy"} | ({"teacher_entropy"} if teacher.capabilities.entropy else set())
    needs = Needs(
        columns=frozenset({"student_logprob", "teacher_logprob"} | entropies),
        top_k={"student": k, "teacher": k} if k else {},
        at_ids=frozenset({("teacher", "student_top_k")}) if k else frozenset(),
    )
    scoring = Scoring(needs=needs, readings=readings, temperature=temperature)
    scorers: Mapping[str, Scorer] = {"student": assembly.policy, "teacher": teacher}
    table = table.keep_rows(rows)
    for name, scorer in scorers.items():
        table = with_scorer(table, name, scorer, scoring)
    return with_late_ids(table, scorers, scoring)
