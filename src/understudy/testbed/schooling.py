"""Makes the testbed's teacher and the student's start, by the package's own ``sft`` on its own engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.environments.demonstrations import from_completions
from understudy.environments.dialogues import from_dialogues
from understudy.environments.episodes import Episode
from understudy.models.load import describe
from understudy.objectives.context import PlanContext
from understudy.objectives.methods.sft import SFT, sft
from understudy.randomness import uniform
from understudy.rollouts import contexts_of
from understudy.testbed.lesson import Lesson, PlayedLesson
from understudy.testbed.models import Schooling, config_of, random_model
from understudy.testbed.subjects import SUBJECTS
from understudy.tokens import Batch, batch_of

MICRO_BATCH_TOKENS = 600  # short and long lessons apart: half the padding, and the activations stay in a core's cache

Progress = Callable[[str, int, int], None]
"""Told what is being made, the steps taken and the steps in all."""


def school(schooling: Schooling, *, name: str, progress: Progress | None = None) -> LocalPolicy:
    """A model trained as ``schooling`` says, on one thread; the same schooling gives the same weights on one machine.

    Args:
        schooling: architecture, data and optimiser. name: of the model, for ``progress``.
    """
    with one_thread():
        return _school(schooling, name=name, progress=progress)


def _school(schooling: Schooling, *, name: str, progress: Progress | None) -> LocalPolicy:
    tokenizer = SUBJECTS[schooling.subject].build_tokenizer()
    loaded = describe(new_model(schooling, tokenizer), tokenizer, name=name)
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
    stream = SUBJECTS[schooling.subject].lessons(schooling.seed)
    for step in range(schooling.steps):
        batch = lessons(schooling, step, stream, tokenizer=tokenizer)
        context = PlanContext(step=step, total_steps=schooling.steps, seed=schooling.seed)
        for plan in objective.plan(batch.table, context):
            policy.update(batch, plan)
        if progress:
            progress(name, step + 1, schooling.steps)
    return policy


def new_model(schooling: Schooling, tokenizer: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    """The model before any lesson."""
    subject = SUBJECTS[schooling.subject]
    config = config_of(
        schooling.architecture,
        vocab_size=len(tokenizer),
        context_tokens=subject.context_tokens,
        tokenizer=tokenizer,
    )
    return random_model(config, seed=schooling.seed)


def lessons(
    schooling: Schooling,
    step: int,
    stream: Iterator[Lesson] | Iterator[PlayedLesson],
    *,
    tokenizer: PreTrainedTokenizerBase,
) -> Batch:
    """The batch of a step: the next lessons or episodes, each in the manner that a keyed draw gives it."""
    chosen: list[Lesson | PlayedLesson] = list(itertools.islice(stream, schooling.batch_size))
    episodes = [Episode(lesson.task, key=key, group=key) for key, lesson in enumerate(chosen)]
    is_foreign = _manners(schooling, step)
    written = [lesson.foreign if each else lesson.own for lesson, each in zip(chosen, is_foreign, strict=True)]
    texts = [one for one in written if isinstance(one, str)]
    max_length = SUBJECTS[schooling.subject].context_tokens
    if len(texts) == len(episodes):
        rollouts = from_completions(episodes, texts, tokenizer=tokenizer, max_length=max_length)
    else:
        assert tokenizer.eos_token_id is not None, "the testbed's tokenizers have one"
        dialogues = [play() for play in written if not isinstance(play, str)]
        rollouts = from_dialogues(
            episodes, dialogues, tokenizer=tokenizer, stop_id=tokenizer.eos_token_id, max_length=max_length
        )
    return batch_of(rollouts, contexts_of(rollouts))


def _manners(schooling: Schooling, step: int) -> list[bool]:
    """Whether each lesson of a step is in the foreign manner, by a keyed draw."""
    places = torch.arange(schooling.batch_size)
    draws = uniform(seed=schooling.seed, step=step, purpose="testbed/manner", rollout=places, index=0)
    share = schooling.foreign_share if step >= schooling.foreign_from else 0.0
    return [draw < share for draw in draws.tolist()]


@contextmanager
def one_thread() -> Iterator[None]:
    """Products this small gain little from a second thread, and on a busy machine waiting for it costs tenfold."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
