"""Rollouts that were really played: what was shown is kept with them, and a privileged teacher reads them right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.tiny import random_sampler
from tests.models.test_chat import EOS, IM_END, make_tokenizer
from understudy.environments.episodes import Episode, from_completions, play
from understudy.environments.toy import RememberDigit, remember_digit_tasks
from understudy.models.chat import decode
from understudy.models.sampling import LocalSampler
from understudy.protocols import Environment, Observation, SamplingParams, Task
from understudy.rollouts import Rollout, contexts_of
from understudy.tasks.templates import parse_template
from understudy.teachers.hints import column, fixed
from understudy.teachers.insertion import as_system, by_template
from understudy.teachers.privileged import Privilege, Telling
from understudy.tokens import batch_of
from understudy.training.views import read_through

TOKENIZER = make_tokenizer()
QUESTION = [{"role": "user", "content": "say it"}]


@pytest.fixture(scope="module")
def sampler() -> LocalSampler:
    return random_sampler(vocab_size=len(TOKENIZER), max_length=128, intermediate_size=24)


class Talks:
    """A chat of two turns that grows, judged in words at its end."""

    def reset(self, task: Task, seed: int) -> Observation:
        self.turn = 0
        return Observation(prompt=QUESTION, style="growing")

    def step(self, action: str) -> Observation:
        self.turn += 1
        if self.turn == 1:
            info = {"feedback": "not the last word"}
            return Observation(prompt=[{"role": "user", "content": "again"}], style="growing", info=info)
        return Observation(prompt="", done=True, info={"feedback": f"turn {self.turn} was too long", "figure": 3})


def played(sampler: LocalSampler, factory: Callable[[], Environment]) -> list[Rollout]:
    return play(
        [Episode(task, key=k, group=k) for k, task in enumerate(remember_digit_tasks()[:4])],
        environment_factory=factory,
        sampler=sampler,
        params=SamplingParams(max_completion_length=5, stop_ids=frozenset({EOS, IM_END})),
        tokenizer=TOKENIZER,
        seed=1,
        step=0,
        max_turns=2,
    )


@pytest.mark.parametrize("style", ["fresh", "growing"])
def test_what_was_shown_is_kept_and_the_teacher_reads_every_token_after_the_hint(
    sampler: LocalSampler, style: str
) -> None:
    rollouts = played(sampler, lambda: RememberDigit(style))  # type: ignore[arg-type]
    for number, rollout in enumerate(rollouts):
        said = decode(TOKENIZER, rollout.turns[0].completion_ids)[:1]
        verdict = "ok" if said == str(number) else "no"
        assert [turn.shown for turn in rollout.turns] == [f"digit {number}:", f"said {said} {verdict}:"]
    template = by_template(parse_template("it is {text}. {prompt}", field="t"))
    told = Privilege([Telling(column("digit"), template)], TOKENIZER, 128)
    contexts = contexts_of(rollouts)
    assert len(contexts) == (8 if style == "fresh" else 4)
    table = batch_of(rollouts, contexts).table
    reading = read_through(told.view(), rollouts, contexts, table)
    read = [int(reading.contexts[c][p]) for c, p in zip(reading.context, reading.position, strict=True)]
    assert read == table["token_id"].tolist()
    for ids, context in zip(reading.contexts, contexts, strict=True):
        hint = f"it is {rollouts[context.rollout].extra['digit']}. "
        assert decode(TOKENIZER, ids) == hint + decode(TOKENIZER, context.ids)


def test_what_an_environment_says_at_the_end_is_kept_as_feedback(sampler: LocalSampler) -> None:
    rollouts = played(sampler, Talks)
    for rollout in rollouts:
        assert rollout.extra == {**rollout.extra, "digit": rollout.key, "feedback": "turn 2 was too long"}
        assert rollout.turns[0].shown == QUESTION and rollout.turns[1].shown == [{"role": "user", "content": "again"}]
    after = by_template(parse_template("{prompt} : {text}", field="t"))
    told = Privilege(
        [Telling(column("feedback", after="reward"), after), Telling(fixed("s"), as_system)], TOKENIZER, 128
    )
    contexts = contexts_of(rollouts)
    (one, *_) = told.view().read(rollouts, contexts)
    text = decode(TOKENIZER, one.ids, skip_special_tokens=False)
    assert text.startswith("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nsay it : turn 2 was too long<|im_end|>")
    assert text.endswith(decode(TOKENIZER, contexts[0].ids, skip_special_tokens=False).partition("assistant\n")[2])


def test_gold_completions_tell_their_prompt_too() -> None:
    task = Task("p", "one plus one", columns={"why": "because"})
    (rollout,) = from_completions([Episode(task, 0, 0)], ["two"], tokenizer=TOKENIZER)
    assert rollout.turns[0].shown == "one plus one"
