"""What every environment must do. A test subclasses ``EnvironmentSuite`` and gives a ``subject``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from understudy.errors import EnvironmentFailedError
from understudy.protocols import Environment, Observation, Task


@dataclass(frozen=True)
class EnvironmentSubject:
    """An environment under test.

    Args:
        make: a new environment. tasks: some of its problems.
        solution: task -> actions that solve it, in order.
    """

    make: Callable[[], Environment]
    tasks: Sequence[Task]
    solution: Callable[[Task], Sequence[str]]


NONSENSE = ("", "?", "\x00\n\n", "word " * 500)


def walk(environment: Environment, task: Task, actions: Sequence[str], seed: int = 3) -> list[Observation]:
    """All observations from reset until done or the last action."""
    seen = [environment.reset(task, seed)]
    for action in actions:
        if seen[-1].done:
            break
        seen.append(environment.step(action))
    return seen


class EnvironmentSuite:
    """The suite; subclasses define the fixture ``subject``."""

    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        raise NotImplementedError

    def test_it_is_an_environment(self, subject: EnvironmentSubject) -> None:
        assert isinstance(subject.make(), Environment)

    def test_the_same_task_seed_and_actions_give_the_same_episode(self, subject: EnvironmentSubject) -> None:
        for task in subject.tasks:
            for actions in (subject.solution(task), NONSENSE * 20):
                assert walk(subject.make(), task, actions) == walk(subject.make(), task, actions)

    def test_an_environment_can_be_used_again(self, subject: EnvironmentSubject) -> None:
        """An episode left in the middle leaves no trace in the next."""
        used = subject.make()
        for task in subject.tasks:
            used.reset(task, 5)
            used.step(NONSENSE[1])
            assert walk(used, task, subject.solution(task)) == walk(subject.make(), task, subject.solution(task))

    def test_the_solution_solves(self, subject: EnvironmentSubject) -> None:
        for task in subject.tasks:
            seen = walk(subject.make(), task, subject.solution(task))
            assert seen[-1].done
            assert seen[-1].correct is True
            assert sum(o.reward for o in seen) > 0

    @pytest.mark.parametrize("action", NONSENSE)
    def test_nonsense_is_answered_not_raised(self, subject: EnvironmentSubject, action: str) -> None:
        for task in subject.tasks:
            seen = walk(subject.make(), task, [action] * 200)
            assert seen[-1].done, "an episode ends"
            assert seen[-1].correct is False
            solved = walk(subject.make(), task, subject.solution(task))
            assert sum(o.reward for o in seen) < sum(o.reward for o in solved)

    def test_observations_are_well_formed(self, subject: EnvironmentSubject) -> None:
        for task in subject.tasks:
            seen = walk(subject.make(), task, subject.solution(task))
            assert not seen[0].done
            assert seen[0].reward == 0
            for observation in seen:
                assert isinstance(observation, Observation)
                assert type(observation.done) is bool
                assert observation.correct in (True, False, None)
                assert math.isfinite(observation.reward)
                assert observation.done or observation.prompt, "a running episode shows something"
                assert observation.style in ("fresh", "growing")

    def test_a_step_without_a_running_episode_is_an_error(self, subject: EnvironmentSubject) -> None:
        task = subject.tasks[0]
        fresh = subject.make()
        with pytest.raises(EnvironmentFailedError, match="running episode"):
            fresh.step("x")
        walk(fresh, task, subject.solution(task))
        with pytest.raises(EnvironmentFailedError, match="running episode"):
            fresh.step("x")
        assert not fresh.reset(task, 0).done, "reset starts anew"
