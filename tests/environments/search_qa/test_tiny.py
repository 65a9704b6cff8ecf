"""The world of facts."""

from __future__ import annotations

import pytest

from understudy.environments.agents import Agent, Manner
from understudy.environments.search_qa import (
    SearchQA,
    spoken,
    tiny_corpus,
    tiny_expert,
    tiny_reply,
    tiny_retriever,
    tiny_search_tasks,
    tiny_vocabulary,
    tiny_words,
)
from understudy.errors import DataError

MANNER = Manner(words=tiny_words, read=tiny_reply, history=0, penalty=0.01)


def test_the_expert_answers_every_question_in_words_that_are_known() -> None:
    known, agent = set(tiny_vocabulary()), Agent(SearchQA(tiny_retriever()), MANNER)
    assert len(known) < 80
    for split in ("train", "eval"):
        for task in tiny_search_tasks(split, 100):
            seen = agent.reset(task, 0)
            for reply in spoken(tiny_expert(task)):
                assert {*str(seen.prompt).split(), *reply.split()} <= known
                seen = agent.step(reply)
            assert seen.reward == 1.0, task


def test_half_of_the_questions_take_two_searches() -> None:
    lengths = [len(tiny_expert(task)) for task in tiny_search_tasks("train", 400)]
    assert set(lengths) == {2, 3} and 150 < lengths.count(3) < 250


def test_nobody_is_asked_about_in_both_splits() -> None:
    asked = [
        {str(task.prompt).split()[-2:][0] + str(task.prompt).split()[-1] for task in tiny_search_tasks(split, 800)}
        for split in ("train", "eval")
    ]
    assert (len(asked[0]), len(asked[1]), asked[0] & asked[1]) == (48, 16, set())


def test_questions_repeat_with_their_seed() -> None:
    assert tiny_search_tasks("train", 20, 5) == tiny_search_tasks("train", 30, 5)[:20]
    assert tiny_search_tasks("train", 20, 5) != tiny_search_tasks("train", 20, 6)
    assert len({document.id for document in tiny_corpus()}) == 72


@pytest.mark.parametrize(("split", "count"), [("train", 0), ("test", 3)])
def test_no_questions_are_the_users_mistake(split, count) -> None:
    with pytest.raises(DataError, match="no such tiny questions"):
        tiny_search_tasks(split, count)
