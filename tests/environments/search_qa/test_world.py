"""Searching and answering, seen from the agent's side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.conformance.environment import NONSENSE, EnvironmentSubject, EnvironmentSuite, walk
from tests.models.test_chat import make_tokenizer
from understudy.environments.agents import TALLY, Agent, Manner, Tally
from understudy.environments.episodes import Episode, play
from understudy.environments.search_qa import (
    SearchQA,
    full_words,
    spoken,
    tagged_reply,
    tiny_expert,
    tiny_reply,
    tiny_retriever,
    tiny_search_tasks,
    tiny_words,
)
from understudy.errors import DataError, ServerDownError
from understudy.protocols import Observation, SamplingParams, Task
from understudy.rollouts import FinishReason
from understudy.tasks.retrieval import Document, Hit, LocalRetriever

FULL = Manner(words=full_words, read=tagged_reply, history=4, penalty=0.01)
TINY = Manner(words=tiny_words, read=tiny_reply, history=0, penalty=0.01)
TASK = Task("q", "", {"question": "What colour is Mars?", "golden_answers": ["Red", "rust"]})
DOCUMENTS = [Document("1", '"Mars"\nMars is red.'), Document("2", "Venus is white."), Document("3", "Mars has moons.")]


def played(*replies: str, manner: Manner = FULL) -> list[Observation]:
    agent = Agent(SearchQA(LocalRetriever.of(DOCUMENTS), top_k=2), manner)
    return [agent.reset(TASK, 0), *(agent.step(reply) for reply in replies)]


def said(seen: Observation) -> str:
    (message,) = seen.prompt
    assert isinstance(message, dict) and message["role"] == "user"
    return str(message["content"])


def test_an_episode_by_hand() -> None:
    seen = played("<think>?</think><search>Mars</search>", "<think>!</think><answer>the RUST</answer>")
    assert "Question: What colour is Mars?" in said(seen[0]) and "no search has been made" in said(seen[0])
    assert 'Step 1: <search>Mars</search> <information>Doc 1: "Mars"\nMars is red.\nDoc 2: Mars has moons.' in said(
        seen[1]
    )
    assert [one.reward for one in seen] == [0.0, 0.0, 1.0] and seen[-1].done and seen[-1].correct
    tally = seen[-1].info[TALLY]
    assert isinstance(tally, Tally) and tally.world == {"searches": 1, "answer": "the RUST"} and tally.penalties == 0


def test_a_wrong_answer_ends_the_episode_too() -> None:
    last = played("<answer>blue</answer>")[-1]
    assert (last.done, last.correct, last.reward) == (True, False, 0.0)


def test_a_reply_that_is_not_valid_costs_a_hundredth_and_is_acted_on_where_it_can_be() -> None:
    seen = played("no idea", "<search>venus</search><answer>white</answer>", "<answer>red</answer><answer>x</answer>")
    assert [one.reward for one in seen] == [0.0, -0.01, -0.01, pytest.approx(0.99)]
    assert "no action could be read" in said(seen[1]) and "Doc 1: Venus is white." in said(seen[2])
    tally = seen[-1].info[TALLY]
    assert isinstance(tally, Tally) and tally.malformed == 3


def test_the_window_numbers_steps_from_the_first() -> None:
    searches = [f"<search>{word}</search>" for word in ("mars", "venus", "pluto")]
    last = said(played(*searches, manner=replace(FULL, history=2))[-1])
    assert "Step 1:" not in last and "Step 2: <search>venus</search> <information>Doc 1: Venus" in last
    assert "Step 3: <search>pluto</search> <information>No document was found." in last
    none = said(played(*searches, manner=replace(FULL, history=0))[-1])
    assert "Step" not in none and "<information>No document was found.</information>" in none


def test_an_observation_too_long_is_cut_and_counted() -> None:
    manner = replace(FULL, cut=lambda text: (text[:6] + "...", len(text) > 6))
    last = played("<search>mars</search>", manner=manner)[-1]
    assert "<information>Doc 1:...</information>" in said(last)
    tally = last.info[TALLY]
    assert isinstance(tally, Tally) and tally.cut == 1


@pytest.mark.parametrize(
    "columns",
    [{}, {"question": "?"}, {"question": " ", "answer": "a"}, {"question": "?", "answer": [1]}, {"answer": ["a"]}],
)
def test_a_task_that_lacks_a_column_is_the_users_mistake(columns) -> None:
    with pytest.raises(DataError, match=r"problem q has no (question|gold answer) that can be used"):
        SearchQA(tiny_retriever()).reset(Task("q", "", columns), 0)


class Down:
    """Never there."""

    def retrieve(self, queries: Sequence[str], *, top_k: int) -> list[list[Hit]]:
        raise ServerDownError("the retriever does not answer")


def test_a_retriever_that_is_down_costs_its_rollouts_only(sampler) -> None:
    manner = replace(TINY, words=lambda sight: sight.goal[:8], read=lambda text: tiny_reply("search x"))
    task = Task("q", "", {"question": "abc", "answer": "d"})
    (rollout,) = play(
        [Episode(task, key=0, group=0)],
        environment_factory=lambda: Agent(SearchQA(Down()), manner),
        sampler=sampler,
        params=SamplingParams(max_completion_length=2),
        tokenizer=make_tokenizer(),
        seed=0,
        step=0,
        max_turns=4,
    )
    assert rollout.finish_reason is FinishReason.FAILED and rollout.reward is None and len(rollout.turns) == 1
    assert "the retriever does not answer" in str(rollout.extra["environment_error"])


class TestTheTinyWorld(EnvironmentSuite):
    """The law of environments; turns that an episode may have are the player's to count."""

    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        return EnvironmentSubject(
            make=lambda: Agent(SearchQA(tiny_retriever()), TINY),
            tasks=tiny_search_tasks("eval", 4, seed=3),
            solution=lambda task: spoken(tiny_expert(task)),
        )

    @pytest.mark.parametrize("action", NONSENSE)
    def test_nonsense_is_answered_not_raised(self, subject: EnvironmentSubject, action: str) -> None:
        seen = walk(subject.make(), subject.tasks[0], [action] * 4)
        assert seen[-1].correct is False and sum(one.reward for one in seen) == pytest.approx(-0.04)
