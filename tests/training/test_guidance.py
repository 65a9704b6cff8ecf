"""Who begins a rollout, how long a beginning is, and that every attempt gets the text it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from tests.training.test_rollout_store import episode
from understudy.environments.episode import Episode
from understudy.objectives.schedules import constant, cosine
from understudy.objectives.writing import ExpertReplay, TeacherPrefix
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.training.collecting import Write
from understudy.training.guidance import PrefixLengths, with_prefix, with_replay
from understudy.training.written_once import world_of

Asked = list[tuple[int, list[Episode]]]


def text_of(
    *lengths: int, reason: FinishReason = FinishReason.STOP, failed: bool = False
) -> Callable[[Episode], Rollout]:
    """Makes a teacher's rollout of so many turns; token ids tell the attempt."""

    def make(one: Episode) -> Rollout:
        turns = tuple(
            Turn(
                prompt_ids=torch.tensor([1]),
                completion_ids=torch.arange(length) + 100 * one.attempt,
                origin=torch.full((length,), Origin.TEACHER),
                behaviour_logprob=torch.full((length,), float("nan")),
                weight_version=torch.full((length,), -1),
                finish_reason=reason,
            )
            for length in lengths
        )
        ended = FinishReason.FAILED if failed else reason
        return Rollout(one.key, one.group, one.task.problem, turns, ended)

    return make


def listening(asked: Asked, make: Callable[[Episode], Rollout]) -> Write:
    """A writer that keeps what it is asked for."""

    def write(
        episodes: Sequence[Episode],
        step: int,
        progress: Callable[[int], None] | None,
        *,
        ended: Callable[[Rollout], None] | None = None,
    ) -> list[Rollout]:
        asked.append((step, list(episodes)))
        return [make(one) for one in episodes]

    return write


EPISODES = [episode(f"p{k // 2}", key=k, attempt=k % 2) for k in range(6)]


def begun_by(
    prefix: TeacherPrefix, make: Callable[[Episode], Rollout], *, step: int = 0
) -> tuple[list[Episode], Asked]:
    """The episodes as the student gets them, and what the teacher was asked."""
    given: Asked = []
    teacher: Asked = []
    lengths = PrefixLengths(prefix, 10, seed=3, total_steps=5)
    with_prefix(listening(given, text_of()), listening(teacher, make), lengths)(EPISODES, step, None)
    ((found, episodes),) = given
    assert found == step
    return episodes, teacher


def test_at_first_everything_is_the_teachers() -> None:
    for reason, length in ((FinishReason.STOP, 4), (FinishReason.LENGTH, 10)):
        episodes, _ = begun_by(TeacherPrefix(cosine(1.0, 0.0)), text_of(length, reason=reason))
        for one in episodes:
            (given,) = one.opening or ()
            assert (given.ids.tolist(), given.finish_reason) == (list(range(length)), reason)


def test_in_the_middle_long_texts_are_cut_and_short_ones_are_whole() -> None:
    prefix = TeacherPrefix(cosine(1.0, 0.0))  # 10, 9, 5, 1, 0 tokens
    for step, length, expected in ((2, 8, 5), (3, 8, 1), (2, 4, 4)):
        episodes, _ = begun_by(prefix, text_of(length), step=step)
        for one in episodes:
            (given,) = one.opening or ()
            assert given.ids.tolist() == list(range(expected))
            assert given.finish_reason == (FinishReason.STOP if expected == length else None)


def test_at_the_end_nobody_is_asked_and_nothing_is_given() -> None:
    episodes, teacher = begun_by(TeacherPrefix(cosine(1.0, 0.0)), text_of(8), step=4)
    assert teacher == []
    assert [one.opening for one in episodes] == [()] * 6
    same = [(one.key, one.group, one.attempt, one.task) for one in episodes]
    assert same == [(one.key, one.group, one.attempt, one.task) for one in EPISODES]


@pytest.mark.parametrize(("num_texts", "attempts"), [(1, [0] * 6), (2, [0, 1] * 3), (9, [0, 1] * 3)])
def test_attempts_share_so_many_texts(num_texts: int, attempts: list[int]) -> None:
    episodes, teacher = begun_by(TeacherPrefix(constant(0.5), num_texts=num_texts), text_of(8))
    ((_, asked),) = teacher
    assert [one.attempt for one in asked] == attempts
    assert [int(one.opening[0].ids[0]) // 100 for one in episodes] == attempts  # type: ignore[index]
    assert [one.attempt for one in episodes] == [0, 1] * 3


def test_uniform_lengths_are_keyed_and_reach_both_ends() -> None:
    lengths = PrefixLengths(TeacherPrefix(constant(0.3), length="uniform"), 10, seed=3, total_steps=5)
    counts = Counter(lengths.of(step, key) for step in range(40) for key in range(100))
    assert set(counts) == {0, 1, 2, 3}
    assert all(abs(count / 4000 - 0.25) < 0.03 for count in counts.values())
    assert [lengths.of(2, key) for key in range(9)] == [lengths.of(2, key) for key in range(9)]
    assert [lengths.of(2, key) for key in range(99)] != [lengths.of(3, key) for key in range(99)]
    other = replace(lengths, seed=4)
    assert [lengths.of(2, key) for key in range(99)] != [other.of(2, key) for key in range(99)]
    nothing = PrefixLengths(TeacherPrefix(constant(0.0), length="uniform"), 10, seed=3, total_steps=5)
    assert {nothing.of(0, key) for key in range(50)} == {0}


def test_uniform_prefixes_are_given_by_their_own_draw() -> None:
    prefix = TeacherPrefix(constant(1.0), length="uniform")
    lengths = PrefixLengths(prefix, 10, seed=3, total_steps=5)
    episodes, teacher = begun_by(prefix, text_of(10))
    expected = [lengths.of(0, one.key) for one in EPISODES]
    assert [sum(given.ids.numel() for given in one.opening or ()) for one in episodes] == expected
    assert len(set(expected)) > 2
    assert [one.key for _, asked in teacher for one in asked] == [k for k, size in enumerate(expected) if size]


def test_a_teacher_that_failed_gives_nothing() -> None:
    episodes, _ = begun_by(TeacherPrefix(constant(1.0)), text_of(failed=True))
    assert [one.opening for one in episodes] == [()] * 6


def test_student_and_teacher_meet_in_the_tasks_world() -> None:
    episodes, teacher = begun_by(TeacherPrefix(constant(1.0)), text_of(4))
    worlds = [world_of(one.task) for one in EPISODES]
    assert [one.world for one in episodes] == [one.world for one in teacher[0][1]] == worlds


# ------------------------------------------------------------------------------------------ replay


def replayed(make: Callable[[Episode], Rollout], *, step: int, max_turns: int = 3) -> tuple[list[Episode], Asked]:
    given: Asked = []
    teacher: Asked = []
    replay = ExpertReplay(lambda step: 1 + step // 2)
    write = with_replay(listening(given, text_of()), listening(teacher, make), replay, max_turns=max_turns)
    write(EPISODES, step, None)
    return given[0][1], teacher


@pytest.mark.parametrize(("step", "turns"), [(0, 2), (1, 2), (2, 1), (3, 1), (4, 0)])
def test_all_but_the_last_turns_are_replayed(step: int, turns: int) -> None:
    episodes, teacher = replayed(text_of(4, 5, 6), step=step)
    for one in episodes:
        assert [given.ids.numel() for given in one.opening or ()] == [4, 5, 6][:turns]
        assert all(given.finish_reason is FinishReason.STOP for given in one.opening or ())
    assert bool(teacher) == (turns > 0), "an expert is not asked for what nobody replays"


def test_a_short_episode_leaves_as_many_turns() -> None:
    """All but the last num_left turns of what the expert played, not of what it might have played."""
    for step, lengths, turns in ((0, (4, 5), 1), (0, (4,), 0), (2, (4, 5), 0)):
        episodes, _ = replayed(text_of(*lengths), step=step)
        assert [len(one.opening or ()) for one in episodes] == [turns] * 6


def test_all_attempts_replay_one_episode() -> None:
    episodes, teacher = replayed(text_of(4, 5, 6), step=0)
    assert [one.attempt for one in teacher[0][1]] == [0] * 6
    assert [one.attempt for one in episodes] == [0, 1] * 3
    assert [one.world for one in episodes] == [world_of(one.task) for one in EPISODES]


def test_an_episode_that_failed_is_not_replayed() -> None:
    episodes, _ = replayed(text_of(4, 5, failed=True), step=0)
    assert [one.opening for one in episodes] == [()] * 6
