from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import MissingColumnError, ShapeError
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, Hidden, Wide, batch_of

S, T, D, E = Origin.STUDENT, Origin.TEACHER, Origin.DATA, Origin.ENVIRONMENT


def make_turn(prompt: Sequence[int], completion: Sequence[int], origin: Sequence[Origin], reward: float = 0.0) -> Turn:
    return Turn(
        prompt_ids=torch.tensor(prompt, dtype=torch.int64),
        completion_ids=torch.tensor(completion, dtype=torch.int64),
        origin=torch.tensor(origin, dtype=torch.int64),
        behaviour_logprob=torch.tensor([-0.5 if o == S else math.nan for o in origin]),
        weight_version=torch.tensor([4 if o == S else -1 for o in origin], dtype=torch.int64),
        finish_reason=FinishReason.STOP,
        reward=reward,
    )


def make_rollout(*turns: Turn, key: int = 0, group: int = 0, **rest: object) -> Rollout:
    return Rollout(key, group, f"p{key}", turns, **{"finish_reason": FinishReason.STOP, **rest})


def batch(*rollouts: Rollout) -> Batch:
    return batch_of(rollouts, contexts_of(rollouts))


@pytest.fixture
def three() -> Batch:
    """Two turns with fresh prompts; an aborted rollout; teacher's prefix, a merged second turn, environment's word."""
    return batch(
        make_rollout(
            make_turn([1, 2], [3, 4], [S, S], reward=0.25),
            make_turn([9], [5], [S], reward=0.75),
            key=70,
            group=3,
            reward=1.0,
            correct=True,
            extra={"source": "a"},
        ),
        make_rollout(key=71, group=3, reward=0.0, correct=False, finish_reason=FinishReason.FAILED),
        make_rollout(
            make_turn([6], [7, 8], [T, S]),
            make_turn([6, 7, 8, 2], [2, 3, 1], [S, E, D]),
            key=72,
            group=4,
            finish_reason=FinishReason.LENGTH,
            domain="maths",
        ),
    )


def test_rows_are_the_tokens_that_someone_chose(three: Batch):
    table = three.table
    assert [c.ids.tolist() for c in three.contexts] == [[1, 2, 3, 4], [9, 5], [6, 7, 8, 2, 2, 3, 1]]
    assert table["token_id"].tolist() == [3, 4, 5, 7, 8, 2, 1]
    assert table["origin"].tolist() == [S, S, S, T, S, S, D]
    assert table["context"].tolist() == [0, 0, 1, 2, 2, 2, 2]
    assert table["position"].tolist() == [2, 3, 1, 1, 2, 4, 6]
    assert table["rollout"].tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert table["turn"].tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert table["index_in_rollout"].tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert table["weight_version"].tolist() == [4, 4, 4, -1, 4, 4, -1]
    assert table["behaviour_logprob"].isnan().tolist() == [False, False, False, True, False, False, True]


def test_turns_and_rollouts_are_linked_and_counted(three: Batch):
    table = three.table
    assert table.turns["rollout"].tolist() == [0, 0, 2, 2]
    assert table.turns["index_in_rollout"].tolist() == [0, 1, 0, 1]
    assert table.turns["num_tokens"].tolist() == [2, 1, 2, 2]
    assert table.turns["reward"].tolist() == [0.25, 0.75, 0.0, 0.0]
    assert table.rollouts["key"].tolist() == [70, 71, 72]
    assert table.rollouts["num_tokens"].tolist() == [3, 0, 4]
    assert table.rollouts["truncated"].tolist() == [False, False, True]
    assert list(table.domains) == ["", "", "maths"]
    assert list(table.problems) == ["p70", "p71", "p72"]
    assert table.extra[0] == {"source": "a"}


def test_an_empty_rollout_counts_in_its_group_and_an_ungraded_one_is_nan(three: Batch):
    rollouts = three.table.rollouts
    group = rollouts["reward"][rollouts["group"] == 3]
    assert group.tolist() == [1.0, 0.0]
    assert float(group.mean()) == 0.5
    assert rollouts["correct"][:2].tolist() == [1.0, 0.0]
    assert math.isnan(rollouts["reward"][2])
    assert math.isnan(rollouts["correct"][2])
    assert (three.table.num_rollouts, three.table.num_tokens) == (3, 7)


def test_a_batch_without_a_single_token_is_a_table_with_no_rows():
    table = batch(make_rollout(), make_rollout(make_turn([1], [], []), key=1)).table
    assert (table.num_tokens, table.num_rollouts) == (0, 2)
    assert table["token_id"].tolist() == []
    assert table.rollouts["num_tokens"].tolist() == [0, 0]
    assert table.turns["num_tokens"].tolist() == [0]
    assert batch().table.num_rollouts == 0


def test_the_first_token_of_a_context_is_never_a_row():
    """Nothing predicts it; scoring it would read position -1."""
    table = batch(make_rollout(make_turn([], [3, 4], [S, S]))).table
    assert table["token_id"].tolist() == [4]
    assert table["position"].tolist() == [1]


@given(counts=st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=5), fresh=st.booleans())
def test_every_row_points_at_its_own_token(counts: list[list[int]], fresh: bool):
    rollouts = []
    for key, lengths in enumerate(counts):
        turns: list[Turn] = []
        for number, length in enumerate(lengths):
            before = [*turns[-1].prompt_ids.tolist(), *turns[-1].completion_ids.tolist()] if turns and not fresh else []
            turns.append(make_turn([*before, 100 + number], [10 * key + i for i in range(length)], [S] * length))
        rollouts.append(make_rollout(*turns, key=key))
    made = batch(*rollouts)
    table = made.table
    for row in range(table.num_tokens):
        context = made.contexts[int(table["context"][row])]
        position = int(table["position"][row])
        assert int(context.ids[position]) == int(table["token_id"][row])
        assert context.rollout == int(table["rollout"][row]) == int(table.turns["rollout"][table["turn"][row]])
        assert int(context.turn[position]) == int(table.turns["index_in_rollout"][table["turn"][row]])
    assert table.rollouts["num_tokens"].tolist() == [sum(lengths) for lengths in counts]
    assert table.turns["num_tokens"].tolist() == [length for lengths in counts for length in lengths]
    indices = [table["index_in_rollout"][table["rollout"] == r].tolist() for r in range(len(counts))]
    assert indices == [list(range(sum(lengths))) for lengths in counts]


def test_a_missing_column_is_an_error_and_names_what_there_is(three: Batch):
    with pytest.raises(MissingColumnError, match=r"'teacher_logprob' was not computed.*behaviour_logprob"):
        three.table["teacher_logprob"]
    with pytest.raises(MissingColumnError, match="teacher_top_k"):
        three.table.wide_column("teacher_top_k")
    with pytest.raises(MissingColumnError, match="teacher"):
        three.table.hidden_column("teacher")


def test_added_columns_are_found_and_the_table_they_came_from_is_untouched(three: Batch):
    table, count = three.table, three.table.num_tokens
    column, wide = -torch.arange(float(count)), Wide(torch.ones(count, 2, dtype=torch.int64), torch.zeros(count, 2))
    hidden = Hidden(torch.eye(count), project=lambda states: 2 * states)
    fuller = table.with_tokens(teacher_logprob=column).with_wide(top=wide).with_hidden(teacher=hidden)
    assert torch.equal(fuller["teacher_logprob"], column)
    assert fuller.wide_column("top") is wide
    assert fuller.hidden_column("teacher") is hidden
    assert torch.equal(fuller["token_id"], table["token_id"])
    assert "teacher_logprob" not in table.tokens
    assert not table.wide
    assert not table.hidden


def test_columns_of_the_wrong_size_are_refused(three: Batch):
    table, count = three.table, three.table.num_tokens
    ids = torch.zeros(count, 2, dtype=torch.int64)
    with pytest.raises(ShapeError, match="teacher_logprob"):
        table.with_tokens(teacher_logprob=torch.zeros(count, 1))
    for wrong in (Wide(ids, torch.zeros(count, 3)), Wide(ids[:-1], torch.zeros(count - 1, 2))):
        with pytest.raises(ShapeError, match="top"):
            table.with_wide(top=wrong)
    with pytest.raises(ShapeError, match="teacher"):
        table.with_hidden(teacher=Hidden(torch.zeros(count + 1, 4), project=lambda states: states))


def test_contexts_in_another_order_give_the_same_rows_for_each_rollout():
    """Packing may sort contexts of different rollouts; within a rollout their order is kept."""
    rollouts = [make_rollout(make_turn([1], [k, k + 1], [S, S]), key=k) for k in range(3)]
    contexts = contexts_of(rollouts)
    plain, turned = batch_of(rollouts, contexts).table, batch_of(rollouts, contexts[::-1]).table
    for table in (plain, turned):
        rows = [table["token_id"][table["rollout"] == r].tolist() for r in range(3)]
        assert rows == [[0, 1], [1, 2], [2, 3]]
        assert all(table["index_in_rollout"][table["rollout"] == r].tolist() == [0, 1] for r in range(3))
