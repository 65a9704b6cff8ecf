"""Makes the testbed's teacher and the student's start, by the package's own ``sft`` on its own engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.environments.demonstrations import from_completions
from understudy.environments.episodes import Episode
from understudy.models.load import describe
from understudy.objectives.context import PlanContext
from understudy.objectives.methods.sft import SFT, sft
from understudy.protocols import Task
from understudy.randomness import uniform
from understudy.rollouts import contexts_of
from understudy.testbed.models import Schooling, new_model
from understudy.testbed.multiplication import Problem, carried_solution, draw_problems, foreign_solution
from understudy.testbed.tokenizer import EOS, build_tokenizer
from understudy.tokens import Batch, batch_of

MICRO_BATCH_TOKENS = 600  # short and long lessons apart: half the padding, and the activations stay in a core's cache

Progress = Callable[[str, int, int], None]
"""Told what is being made, the steps taken and the steps in all."""


def school(schooling: Schooling, *, name: str, progress: Progress | None = None) -> LocalPolicy:
    """A model trained as ``schooling`` says, on one thread; the same schooling gives the same weights on one machine.

    Args:
        schooling: architecture, data and optimiser. name: of the model, for ``progress``.
    """
    with _one_thread():
        return _school(schooling, name=name, progress=progress)


def _school(schooling: Schooling, *, name: str, progress: Progress | None) -> LocalPolicy:
    loaded = describe(new_model(schooling.architecture, seed=schooling.seed), build_tokenizer(), name=name)
    optimizer = OptimizerConfig(
        learning_rate=schooling.learning_rate, schedule="linear", warmup_steps=schooling.warmup_steps
    )
    policy = LocalPolicy(
        loaded,
        optimizer=optimizer,
        total_updates=schooling.steps,
        token_budget=MICRO_BATCH_TOKENS,
        seed=schooling.seed,
    )
    objective = sft(SFT())
    problems = draw_problems("train", seed=schooling.seed)
    for step in range(schooling.steps):
        batch = lessons(schooling, step, problems)
        context = PlanContext(step=step, total_steps=schooling.steps, seed=schooling.seed)
        for plan in objective.plan(batch.table, context):
            policy.update(batch, plan)
        if progress:
            progress(name, step + 1, schooling.steps)
    return policy


def lessons(schooling: Schooling, step: int, problems: Iterator[Problem]) -> Batch:
    """The batch of a step: the next problems, each with a solution in the manner that a keyed draw gives it."""
    tokenizer = build_tokenizer()
    chosen = list(itertools.islice(problems, schooling.batch_size))
    draws = uniform(
        seed=schooling.seed, step=step, purpose="testbed/manner", rollout=torch.arange(len(chosen)), index=0
    )
    share = schooling.foreign_share if step >= schooling.foreign_from else 0.0
    manners = [foreign_solution if draw < share else carried_solution for draw in draws.tolist()]
    rollouts = from_completions(
        [Episode(Task(problem.name, problem.prompt), key=key, group=key) for key, problem in enumerate(chosen)],
        [manner(problem) for manner, problem in zip(manners, chosen, strict=True)],
        tokenizer=tokenizer,
        stop_id=tokenizer.get_vocab()[EOS],
    )
    return batch_of(rollouts, contexts_of(rollouts))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products this small gain little from a second thread, and on a busy machine waiting for it costs tenfold."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
