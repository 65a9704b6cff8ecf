"""Where the text that a teacher is told comes from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.models.test_chat import EOS, letters, make_tokenizer
from understudy.errors import DataError
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.teachers.hints import column, fixed, last_moment, spoken, successful_peer, without_thinking

TOKENIZER = make_tokenizer()


def turn(text: str, *, tokenizer: Any = TOKENIZER) -> Turn:
    ids = torch.tensor([*letters(tokenizer, text), EOS])
    return Turn(
        prompt_ids=torch.tensor([1]),
        completion_ids=ids,
        origin=torch.full_like(ids, Origin.STUDENT),
        behaviour_logprob=torch.zeros(ids.numel()),
        weight_version=torch.zeros_like(ids),
        finish_reason=FinishReason.STOP,
    )


def rollout(key: int, *texts: str, reward: float | None = None, correct: bool | None = None) -> Rollout:
    turns = tuple(turn(text) for text in texts)
    return Rollout(key, 0, "p", turns, FinishReason.STOP, reward=reward, correct=correct)


def told(key: int, group: list[Rollout], *, success: float = 0.5) -> str | None:
    own = next(one for one in group if one.key == key)
    return successful_peer(TOKENIZER, success=success).read(own, group)


def test_a_peer_is_the_next_that_succeeded_and_never_the_rollout_itself() -> None:
    group = [
        rollout(4, "four", correct=True),
        rollout(5, "five", correct=False),
        rollout(6, "six", correct=True),
        rollout(7, "seven", correct=False),
    ]
    assert [told(key, group) for key in (4, 5, 6, 7)] == ["six", "six", "four", "four"]
    assert [told(key, group[::-1]) for key in (4, 5, 6, 7)] == ["six", "six", "four", "four"], "whatever the order"


def test_without_another_success_there_is_no_peer() -> None:
    alone = [rollout(0, "right", correct=True), rollout(1, "wrong", correct=False)]
    assert told(0, alone) is None
    assert told(1, alone) == "right"
    assert told(0, [rollout(0, "a"), rollout(1, "b")]) is None, "nobody graded them"


def test_where_nothing_is_decided_the_reward_is_asked() -> None:
    group = [rollout(0, "a"), rollout(1, "b", reward=0.4), rollout(2, "c", reward=0.6)]
    assert told(0, group) == "c"
    assert told(0, group, success=0.3) == "b"
    decided = [rollout(0, "a"), rollout(1, "b", reward=0.9, correct=False)]
    assert told(0, decided) is None


def test_a_reward_of_just_the_bound_is_a_success() -> None:
    group = [rollout(0, "a"), rollout(1, "b", reward=0.49), rollout(2, "c", reward=0.5)]
    assert told(0, group) == "c"


def test_a_peer_that_said_nothing_but_its_thoughts_is_passed_over() -> None:
    group = [rollout(0, "a"), rollout(1, "<think>hm", correct=True), rollout(2, "", correct=True)]
    assert told(0, group) is None
    assert told(0, [*group, rollout(3, "said", correct=True)]) == "said"


def test_all_turns_of_a_peer_are_told_without_thinking() -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    marks = [tokenizer.convert_tokens_to_ids(mark) for mark in ("<think>", "</think>")]
    ids = [marks[0], *letters(tokenizer, "hidden"), marks[1], *letters(tokenizer, " seen"), EOS]
    assert spoken(tokenizer, torch.tensor(ids)) == "seen", "the marks may be special tokens"
    group = [rollout(0, "a"), rollout(1, "first", "second", correct=True)]
    assert told(0, group) == "first\n\nsecond"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<think>a\nb</think>\n\nc", "c"),
        ("nothing marked", "nothing marked"),
        ("a</think>b", "b"),
        ("<think>never ends", ""),
    ],
)
def test_thinking_is_stripped_where_it_is_marked(text: str, left: str) -> None:
    assert without_thinking(text) == left


def test_columns_give_text_and_numbers_and_nothing_else() -> None:
    one = Rollout(0, 0, "p", (), FinishReason.STOP, extra={"a": " x ", "n": 3, "none": None, "blank": " ", "list": [1]})
    read = lambda name: column(name).read(one, [])  # noqa: E731
    assert [read(name) for name in ("a", "n", "none", "blank", "absent")] == ["x", "3", None, None, None]
    with pytest.raises(DataError, match="column 'list' is no text"):
        read("list")


def test_a_view_is_read_when_its_last_hint_is_known() -> None:
    hints = [fixed("x"), column("a"), column("feedback", after="reward"), successful_peer(TOKENIZER, success=1)]
    assert [last_moment(hint.after for hint in hints[:count]) for count in (1, 2, 3, 4)] == [
        "rollout",
        "rollout",
        "reward",
        "group",
    ]
