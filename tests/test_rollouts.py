from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ShapeError
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of

PROMPT, STUDENT, TEACHER, ENVIRONMENT = Origin.PROMPT, Origin.STUDENT, Origin.TEACHER, Origin.ENVIRONMENT
token_lists = st.lists(st.integers(0, 2), max_size=4)


def make_turn(prompt: list[int], completion: list[int], *, origin: Origin = STUDENT, version: int = 5) -> Turn:
    count = len(completion)
    return Turn(
        prompt_ids=torch.tensor(prompt, dtype=torch.int64),
        completion_ids=torch.tensor(completion, dtype=torch.int64),
        origin=torch.full((count,), int(origin)),
        behaviour_logprob=-torch.arange(1.0, count + 1),
        weight_version=torch.full((count,), version),
        finish_reason=FinishReason.STOP,
    )


def make_rollout(*turns: Turn, key: int = 0, group: int = 0) -> Rollout:
    return Rollout(key=key, group=group, problem=f"p{key}", turns=turns, finish_reason=FinishReason.STOP)


def test_turns_that_continue_the_ids_share_one_context():
    first, second = make_turn([1, 2], [3, 4]), make_turn([1, 2, 3, 4, 9, 9], [5], version=6)
    (context,) = contexts_of([make_rollout(first, second)])
    assert context.ids.tolist() == [1, 2, 3, 4, 9, 9, 5]
    assert context.origin.tolist() == [PROMPT, PROMPT, STUDENT, STUDENT, ENVIRONMENT, ENVIRONMENT, STUDENT]
    assert context.turn.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert context.weight_version.tolist() == [-1, -1, 5, 5, -1, -1, 6]
    logprobs = context.behaviour_logprob.tolist()
    assert [math.isnan(x) for x in logprobs] == [True, True, False, False, True, True, False]
    assert [x for x in logprobs if not math.isnan(x)] == [-1.0, -2.0, -1.0]


@pytest.mark.parametrize("prompt", [[1, 2, 3, 8, 9], [1, 2, 3], [7], []], ids=["differs", "shorter", "fresh", "none"])
def test_any_other_prompt_opens_a_context_of_its_own(prompt: list[int]):
    contexts = contexts_of([make_rollout(make_turn([1, 2], [3, 4]), make_turn(prompt, [5]))])
    assert [c.ids.tolist() for c in contexts] == [[1, 2, 3, 4], [*prompt, 5]]
    assert contexts[1].origin.tolist() == [*[PROMPT] * len(prompt), STUDENT]
    assert contexts[1].turn.tolist() == [1] * (len(prompt) + 1)


def test_a_third_turn_is_compared_with_the_latest_context_only():
    turns = make_turn([1], [2]), make_turn([7], [8]), make_turn([1, 2, 3], [4])
    assert [c.ids.tolist() for c in contexts_of([make_rollout(*turns)])] == [[1, 2], [7, 8], [1, 2, 3, 4]]


def test_equal_ids_of_different_origin_keep_their_origin():
    """An end token that the teacher wrote and the student wrote are told apart, whatever their id."""
    (context,) = contexts_of([make_rollout(make_turn([0], [0, 0], origin=TEACHER))])
    assert context.origin.tolist() == [PROMPT, TEACHER, TEACHER]


def test_rollouts_never_share_a_context_and_an_aborted_one_has_none():
    same = make_turn([1], [2])
    contexts = contexts_of([make_rollout(same), make_rollout(key=1), make_rollout(same, key=2)])
    assert [c.rollout for c in contexts] == [0, 2]


@given(pairs=st.lists(st.tuples(token_lists, token_lists), max_size=5))
def test_every_turn_is_read_as_it_was_sampled(pairs: list[tuple[list[int], list[int]]]):
    """Up to the end of a turn, its context is exactly prompt + completion: nothing is lost, re-tokenised or moved."""
    contexts = contexts_of([make_rollout(*(make_turn(p, c) for p, c in pairs))])
    for number, (prompt, completion) in enumerate(pairs):
        readers = [c for c in contexts if bool((c.turn == number).any())] if prompt + completion else []
        for context in readers:
            end = int((context.turn <= number).sum())
            assert context.ids[:end].tolist() == prompt + completion
            chosen = (context.turn == number) & (context.origin == STUDENT)
            assert context.ids[chosen].tolist() == completion
    chosen_in_all = sum(int((c.origin == STUDENT).sum()) for c in contexts)
    assert chosen_in_all == sum(len(completion) for _, completion in pairs)


@pytest.mark.parametrize("column", ["origin", "behaviour_logprob", "weight_version"])
def test_a_turn_with_a_column_of_another_length_is_refused(column: str):
    good = {
        "completion_ids": torch.tensor([1, 2]),
        "origin": torch.tensor([1, 1]),
        "behaviour_logprob": torch.zeros(2),
        "weight_version": torch.zeros(2, dtype=torch.int64),
    }
    with pytest.raises(ShapeError, match=column):
        Turn(prompt_ids=torch.tensor([0]), finish_reason=FinishReason.STOP, **{**good, column: torch.zeros(3)})


def test_a_turn_with_a_batched_prompt_is_refused():
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ShapeError):
        Turn(torch.zeros(1, 3, dtype=torch.int64), none, none, torch.zeros(0), none, FinishReason.STOP)
