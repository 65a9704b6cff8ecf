"""Who writes, and how rollouts begin: schedules in tokens and turns, worked out on paper."""

from __future__ import annotations

import pytest

from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.schedules import constant, cosine, linear
from understudy.objectives.writing import ExpertReplay, RolloutMix, TeacherPrefix, TurnWindow, Writing


def test_the_longest_prefix_falls_from_the_whole_length_to_nothing() -> None:
    prefix = TeacherPrefix(cosine(1.0, 0.0))
    found = [prefix.longest(PlanContext(step=s, total_steps=5), max_completion_length=100) for s in range(5)]
    assert found == [100, 85, 50, 15, 0]  # 100 (1 + cos(pi s / 4)) / 2
    straight = TeacherPrefix(linear(1.0, 0.0))
    assert [straight.longest(PlanContext(step=s, total_steps=3), max_completion_length=7) for s in range(3)] == [
        7,
        4,
        0,
    ]


@pytest.mark.parametrize(("share", "expected"), [(2.0, 10), (-0.5, 0), (0.26, 3), (0.0, 0)])
def test_a_share_outside_its_range_takes_all_or_nothing(share: float, expected: int) -> None:
    assert TeacherPrefix(constant(share)).longest(PlanContext(), max_completion_length=10) == expected


def test_a_window_grows_to_the_turns_there_are_and_never_closes() -> None:
    window = TurnWindow(lambda step: step // 2)
    assert [window.limit(step, max_turns=3) for step in range(10)] == [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]


def test_an_expert_leaves_ever_more_turns() -> None:
    replay = ExpertReplay(lambda step: 1 + step)
    assert [replay.num_replayed(step, num_turns=3) for step in range(5)] == [2, 1, 0, 0, 0]
    assert ExpertReplay(lambda _: 0).num_replayed(0, num_turns=3) == 3
    assert ExpertReplay(lambda _: -4).num_replayed(0, num_turns=3) == 3


def test_what_needs_a_teachers_text() -> None:
    prefix, replay = TeacherPrefix(constant(1.0)), ExpertReplay(lambda _: 1)
    needy = (Writing(prefix=prefix), Writing(turns=replay), Writing(RolloutMix(student=0.5, teacher=0.5)))
    assert all(writing.needs_teacher_text for writing in needy)
    others = (Writing(), Writing(turns=TurnWindow(lambda _: 1)), Writing(weights="initial"))
    assert not any(writing.needs_teacher_text for writing in others)


def test_contradictions_are_refused() -> None:
    prefix, replay = TeacherPrefix(constant(1.0)), ExpertReplay(lambda _: 1)
    with pytest.raises(RecipeError, match="how a rollout begins"):
        Writing(prefix=prefix, turns=replay)
    for changing in ({"prefix": prefix}, {"turns": replay}, {"turns": TurnWindow(lambda _: 1)}):
        with pytest.raises(RecipeError, match="initial weights are fixed"):
            Writing(weights="initial", **changing)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="texts of a teacher prefix"):
        TeacherPrefix(constant(1.0), num_texts=0)
