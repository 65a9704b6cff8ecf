"""Whole episodes through the loop that trains: the expert's words as exact ids, and a student that knows nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.conformance.tiny import random_sampler
from understudy.environments.agents import TALLY, Agent
from understudy.environments.agents.agent import Style
from understudy.environments.episodes import Episode, play
from understudy.environments.household import Household, demonstrate, manner, tiny_household_tasks
from understudy.environments.household.tiny import VOCABULARY, spoken
from understudy.environments.openings import Written
from understudy.errors import DataError
from understudy.models.chat import encode_completion
from understudy.models.sampling import LocalSampler
from understudy.protocols import SamplingParams, Task
from understudy.rollouts import FinishReason, Origin, Rollout, contexts_of
from understudy.testbed.tokenizer import word_tokenizer

TOKENIZER = word_tokenizer(VOCABULARY, context_tokens=512)
EOS = TOKENIZER.eos_token_id
TASKS = tiny_household_tasks("valid_seen", 4, 2)


@pytest.fixture(scope="module")
def sampler() -> LocalSampler:
    return random_sampler(vocab_size=len(TOKENIZER), max_length=512)


def played(sampler: LocalSampler, style: Style, episodes: list[Episode]) -> list[Rollout]:
    return play(
        episodes,
        environment_factory=lambda: Agent(Household(), manner("tiny", style=style)),
        sampler=sampler,
        params=SamplingParams(max_completion_length=8, stop_ids=frozenset({EOS})),
        tokenizer=TOKENIZER,
        seed=0,
        step=0,
        max_turns=20,
        max_length=512,
    )


def expert_opening(task: Task) -> tuple[Written, ...]:
    words = [spoken(move.action) for move in demonstrate(task).moves]
    return tuple(Written(encode_completion(TOKENIZER, said, stop_id=EOS), FinishReason.STOP) for said in words)


@pytest.mark.parametrize(("style", "num_contexts"), [("growing", 1), ("fresh", None)])
def test_the_experts_tokens_win_the_game(sampler: LocalSampler, style: Style, num_contexts: int | None) -> None:
    episodes = [
        Episode(task, key=number, group=number, opening=expert_opening(task)) for number, task in enumerate(TASKS)
    ]
    for episode, rollout in zip(episodes, played(sampler, style, episodes), strict=True):
        assert rollout.correct is True and rollout.reward == pytest.approx(10.0)
        assert len(rollout.turns) == len(episode.opening or ())
        assert rollout.turns[-1].reward == pytest.approx(10.0)
        contexts = contexts_of([rollout])
        assert len(contexts) == (num_contexts or len(rollout.turns))
        written = sum(int((context.origin == Origin.TEACHER).sum()) for context in contexts)
        assert written == sum(one.ids.numel() for one in episode.opening or ())
        assert TOKENIZER.unk_token_id not in torch.cat([context.ids for context in contexts])


def test_a_student_that_knows_nothing_pays_for_every_turn(sampler: LocalSampler) -> None:
    for rollout in played(sampler, "growing", [Episode(task, key=7 + n, group=n) for n, task in enumerate(TASKS)]):
        tally = rollout.extra[TALLY]
        assert isinstance(tally, dict)
        refused = tally["malformed"] + tally["inadmissible"]
        assert rollout.correct is False and tally["steps"] == len(rollout.turns) == 20
        assert refused > 10 and rollout.reward == pytest.approx(-0.1 * refused)


def test_one_broken_task_is_the_users_to_mend(sampler: LocalSampler) -> None:
    broken = replace(TASKS[0], columns={"kind": "heat"})
    with pytest.raises(DataError, match="a household task has no thing"):
        played(sampler, "fresh", [Episode(broken, key=0, group=0)])
