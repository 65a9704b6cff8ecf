"""Who writes what: the same step gives the same problems and writers, shares hold, epochs leave nobody out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from understudy.environments.episodes import Episode
from understudy.objectives.writing import RolloutMix
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Rollout
from understudy.training.collecting import Collector, Write, Writer

TASKS = [Task(f"p{number}", "") for number in range(5)]


def writing(who: Writer) -> Write:
    """A writer that makes empty rollouts signed with its name."""

    def write(episodes: Sequence[Episode], step: int, progress: Callable[[int], None] | None) -> list[Rollout]:
        return [Rollout(a.key, a.group, a.task.problem, (), FinishReason.STOP, domain=who) for a in episodes]

    return write


def collector(mix: RolloutMix, *, prompts: int = 3, shuffle: bool = True) -> Collector:
    writers: dict[Writer, Write] = {who: writing(who) for who in ("student", "teacher", "data")}  # type: ignore[misc, arg-type]
    return Collector(TASKS, 11, prompts, 2, writers, mix, shuffle)


def test_every_problem_comes_once_an_epoch_and_epochs_differ_in_order() -> None:
    collect = collector(RolloutMix())
    order = [task.problem for step in range(10) for task in collect.tasks_of(step)]
    epochs = [order[start : start + 5] for start in range(0, 30, 5)]
    assert all(sorted(epoch) == [task.problem for task in TASKS] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    plain = collector(RolloutMix(), shuffle=False)
    assert [task.problem for task in plain.tasks_of(1)] == ["p3", "p4", "p0"]


def test_attempts_at_a_problem_share_a_group_and_have_their_own_keys() -> None:
    rollouts = collector(RolloutMix())(4)
    assert [rollout.key for rollout in rollouts] == [0, 1, 2, 3, 4, 5]
    assert [rollout.group for rollout in rollouts] == [0, 0, 1, 1, 2, 2]
    assert all(rollouts[i].problem == rollouts[i + 1].problem for i in (0, 2, 4))


@pytest.mark.parametrize(
    "mix",
    [
        RolloutMix(student=0.5, teacher=0.2, data=0.3),
        RolloutMix(student=0.25, teacher=0.0, data=0.75),
        RolloutMix(student=0.0, teacher=1.0),
        RolloutMix(student=0.0, teacher=0.0, data=1.0),
    ],
)
def test_shares_of_writers(mix: RolloutMix) -> None:
    collect = collector(mix, prompts=50)
    groups = Counter(who for step in range(40) for who in {r.group: r.domain for r in collect(step)}.values())
    for who in ("student", "teacher", "data"):
        share = groups[who] / 2000
        assert share == pytest.approx(getattr(mix, who), abs=0.04)
        assert share == 0 or getattr(mix, who) > 0


def test_the_datas_completion_is_taken_once_and_the_step_repeats_itself() -> None:
    collect = collector(RolloutMix(student=0.5, teacher=0.0, data=0.5), prompts=20)
    rollouts = collect(3)
    sizes = Counter((rollout.group, rollout.domain) for rollout in rollouts)
    assert {(who, size) for (_, who), size in sizes.items()} == {("data", 1), ("student", 2)}
    again = collect(3)
    assert [(r.key, r.domain, r.problem) for r in rollouts] == [(r.key, r.domain, r.problem) for r in again]
