"""Written episodes as rollouts: who said what, and where they are cut."""

from __future__ import annotations

import pytest

from understudy.environments.dialogues import WrittenTurn, from_dialogues
from understudy.environments.episodes import Episode
from understudy.errors import ShapeError
from understudy.protocols import Task
from understudy.rollouts import Origin, contexts_of
from understudy.testbed.tokenizer import word_tokenizer

WORDS = word_tokenizer(["ask", "go", "left", "right", "wall", "door"], context_tokens=32)
TURNS = (WrittenTurn("ask", "go right", is_taught=False), WrittenTurn("wall", "go left"), WrittenTurn("door", "go"))


def rollout_of(max_length: int = 32):
    episode = Episode(Task("p", "ask", {"id": "p"}, domain="d"), key=3, group=1)
    return from_dialogues([episode], [TURNS], tokenizer=WORDS, stop_id=WORDS.eos_token_id, max_length=max_length)[0]


def test_turns_grow_into_one_context_in_which_the_taught_replies_alone_are_data() -> None:
    rollout = rollout_of()
    (context,) = contexts_of([rollout])
    said = WORDS.convert_ids_to_tokens(context.ids.tolist())
    assert said == ["<bos>", "ask", "go", "right", "<eos>", "wall", "go", "left", "<eos>", "door", "go", "<eos>"]
    data = [word for word, origin in zip(said, context.origin.tolist(), strict=True) if origin == Origin.DATA]
    assert data == ["go", "left", "<eos>", "go", "<eos>"]
    assert rollout.key == 3 and rollout.domain == "d" and rollout.reward is None


def test_a_turn_that_does_not_fit_is_left_out_whole() -> None:
    assert [len(rollout_of(length).turns) for length in (12, 11, 9, 8, 4)] == [3, 2, 2, 1, 0]


def test_each_task_has_its_dialogue() -> None:
    with pytest.raises(ShapeError, match="differ in number"):
        from_dialogues([], [TURNS], tokenizer=WORDS, stop_id=2, max_length=8)
