"""Which rollouts are shown, how they are coloured, and the text of their tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.reports.hand_made import byte_tokenizer
from understudy.reports.microscope import MAX_TOKENS, microscope
from understudy.reports.saved_rollouts import PER_STEP, SavedRollout, SavedTurn, chosen_of
from understudy.reports.token_columns import columns_of
from understudy.reports.token_text import pieces
from understudy.rollouts import Origin


def saved(
    index: int, *, kl: Sequence[float] = (0.0,), reward: float | None = None, origin: Sequence[Origin] = ()
) -> SavedRollout:
    """One rollout whose token i has the reverse KL ``kl[i]`` and the advantage ``-kl[i]``."""
    student = np.full(len(kl), -1.0)
    figures = {
        "student_logprob": student,
        "teacher_logprob": student - np.array(kl),
        "policy/advantage": -np.array(kl),
        "policy/weight": np.full(len(kl), 0.5),
    }
    who = tuple(int(one) for one in origin) or (int(Origin.STUDENT),) * len(kl)
    turn = SavedTurn((1, 2), tuple(range(len(kl))), who, None, None, figures, "stop")
    return SavedRollout(4, index, f"p{index}", "", reward, None, "stop", (turn,))


def test_kl_is_the_mean_over_the_students_own_tokens() -> None:
    rollout = saved(0, kl=(1.0, 3.0, 100.0, math.nan), origin=[Origin.STUDENT] * 2 + [Origin.TEACHER, Origin.STUDENT])
    assert rollout.kl == pytest.approx(2.0)
    assert SavedRollout(0, 0, "", "", None, None, "failed", ()).kl is None


def test_rewards_rank_where_they_differ_else_kl() -> None:
    by_kl = chosen_of([saved(n, kl=(float(n),), reward=1.0) for n in range(3)])
    assert [rollout.index for rollout in by_kl.rollouts] == [2, 1, 0]
    by_reward = chosen_of([saved(n, kl=(float(n),), reward=float(n == 1)) for n in range(3)])
    assert [rollout.index for rollout in by_reward.rollouts] == [1, 2, 0]
    assert "reward" in by_reward.order


def test_the_choice_spans_from_best_to_worst() -> None:
    step = chosen_of([saved(n, kl=(float(n),)) for n in range(100)])
    indices = [rollout.index for rollout in step.rollouts]
    assert len(indices) == PER_STEP
    assert (indices[0], indices[-1], step.total) == (99, 0, 100)
    assert np.ptp(np.diff(indices)) <= 1


def test_columns_come_in_order_with_one_range_for_all() -> None:
    columns = columns_of([saved(0, kl=(0.1, -0.1)), saved(1, kl=(3.0,) * 20)])
    assert [column.key for column in columns] == [
        "policy/advantage",
        "log_ratio",
        "policy/weight",
        "surprisal",
        "teacher_surprisal",
    ]
    labels = ["Advantage", "Log ratio", "Weight", "Student surprisal", "Teacher surprisal"]
    assert [column.label for column in columns] == labels
    assert columns[0].limit == 5.0
    assert [column.diverging for column in columns] == [True, True, False, False, False]
    assert [columns[0].shade(value) for value in (-3.0, 3.0, 0.1, 0.01, 50.0)] == ["n6", "p6", "p1", "", "p8"]
    assert columns[0].ends == ("−5", "−1.25", "0", "1.25", "5")


def test_a_few_tokens_that_are_far_off_are_told_apart_and_leave_the_others_a_colour() -> None:
    """A start and the trained student on one page: hardly any token of the second differs by a thousandth."""
    far, near = saved(0, kl=(12.0, 6.0, -1.0, 0.0)), saved(1, kl=(0.001, -0.001) * 50)
    (advantage, *_) = columns_of([far, near])
    assert len({advantage.shade(value) for value in (-12.0, -6.0, 1.0, 0.001)}) == 4 and not advantage.shade(0.001)


def test_prompts_of_later_turns_show_only_what_is_new() -> None:
    first = saved(0, kl=(1.0, 1.0)).turns[0]
    second = SavedTurn((*first.prompt_ids, *first.completion_ids, 7), (8,), (1,), None, None, {}, "stop")
    fresh = SavedTurn((9,), (8,), (1,), None, None, {}, "stop")
    rollout = SavedRollout(0, 0, "", "", None, None, "stop", (first, second, fresh))
    scope = microscope([chosen_of([rollout])], None)
    assert [turn.prompt for turn in scope.steps[0].rollouts[0].turns] == ["[1][2]", "[7]", "[9]"]


def test_who_else_wrote_is_told() -> None:
    mixed = saved(0, kl=(1.0, 1.0), origin=(Origin.TEACHER, Origin.STUDENT))
    given = saved(1, kl=(0.0,), origin=(Origin.DATA,))
    views = {view.problem: view for view in microscope([chosen_of([mixed, given])], None).steps[0].rollouts}
    assert views["p0"].facts[-1] == "begun by the teacher: 1 token"
    assert views["p1"].facts[-1] == "written by the data"
    assert [span.count("other") for span in views["p0"].turns[0].tokens.split("</i>")][:2] == [1, 0]


def test_turns_that_a_teacher_replayed_and_prefixes_are_told_apart_from_the_rest() -> None:
    def fact_of(*origins: Sequence[Origin]) -> str:
        turns = [
            SavedTurn((1,), tuple(range(len(who))), tuple(map(int, who)), None, None, {}, "stop") for who in origins
        ]
        rollout = SavedRollout(0, 0, "p", "", 1.0, None, "stop", tuple(turns))
        return microscope([chosen_of([rollout])], None).steps[0].rollouts[0].facts[-1]

    student, teacher, data = Origin.STUDENT, Origin.TEACHER, Origin.DATA
    assert fact_of([teacher, teacher], [teacher], [student]) == "begun by the teacher: 2 turns"
    assert fact_of([teacher], [teacher, teacher, student]) == "begun by the teacher: 1 turn and 2 tokens"
    assert fact_of([teacher, teacher]) == "written by the teacher"
    assert fact_of([student, teacher]) == "partly written by the teacher"
    assert fact_of([data, student]) == "partly written by the data"


def test_long_completions_are_cut_and_say_so() -> None:
    (turn,) = microscope([chosen_of([saved(0, kl=(1.0,) * 2000)])], None).steps[0].rollouts[0].turns
    assert turn.tokens.count("<i") == MAX_TOKENS
    assert f"first {MAX_TOKENS:,} of 2,000" in turn.note


@pytest.mark.parametrize("text", ["plain", "naïve 🙂 done", "🙂🙂", "a\ufffdb"])
def test_pieces_join_to_the_text(text: str) -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode(text).ids
    found = pieces(ids, lambda some: tokenizer.decode(list(some), skip_special_tokens=False))
    assert len(found) == len(ids)
    assert "".join(found) == text


def test_bytes_that_are_no_text_are_shown_one_by_one() -> None:
    tokenizer = byte_tokenizer()
    whole = tokenizer.encode("🙂").ids
    found = pieces([whole[0]] * 9, lambda some: tokenizer.decode(list(some), skip_special_tokens=False))
    assert len(found) == 9
    assert "\ufffd" in "".join(found), "nothing is waited for to the end"
