from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite
from understudy.environments.single_turn import SingleTurn
from understudy.protocols import Task


@dataclass(frozen=True)
class Judged:
    reward: float
    correct: bool
    parsed: str | None


def exact(completion: str, columns: Mapping[str, object]) -> Judged:
    right = completion.strip() == columns["answer"]
    return Judged(reward=2.0 * right, correct=right, parsed=completion.strip() or None)


TASKS = [Task("a", "1+1=", {"answer": "2"}), Task("b", [{"role": "user", "content": "2+3"}], {"answer": "5"})]


class TestSingleTurn(EnvironmentSuite):
    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        return EnvironmentSubject(lambda: SingleTurn(exact), TASKS, lambda task: [str(task.columns["answer"])])


def test_the_prompt_is_the_tasks_and_the_verdict_is_the_verifiers() -> None:
    environment = SingleTurn(exact)
    assert environment.reset(TASKS[1], 0).prompt == TASKS[1].prompt
    seen = environment.step(" 5 ")
    assert (seen.reward, seen.correct, seen.done, seen.info) == (2.0, True, True, {"parsed": "5"})


def test_without_a_verifier_nothing_is_graded() -> None:
    environment = SingleTurn(None)
    environment.reset(TASKS[0], 0)
    seen = environment.step("2")
    assert seen.done
    assert seen.correct is None
    assert math.isnan(seen.reward)


def test_tasks_of_several_data_sets_are_judged_each_by_its_own_verifier() -> None:
    def always(completion: str, columns: Mapping[str, object]) -> Judged:
        return Judged(1.0, True, completion)

    environment = SingleTurn(by_domain={"sums": exact, "chat": None, "free": always})
    rewards = []
    for domain in ("sums", "free", "chat", "sums"):
        environment.reset(Task("a", "1+1=", {"answer": "2"}, domain=domain), 0)
        rewards.append(environment.step("3").reward)
    assert rewards[:2] == [0.0, 1.0] and math.isnan(rewards[2]) and rewards[3] == 0.0


class Slow:
    """A verifier that judges in the background and keeps the order in which it was asked."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, completion: str, columns: Mapping[str, object]) -> Judged:
        return self.begin(completion, columns)()

    def begin(self, completion: str, columns: Mapping[str, object]) -> Callable[[], Judged]:
        self.heard.append(f"begun {completion}")

        def wait() -> Judged:
            self.heard.append(f"waited {completion}")
            return exact(completion, columns)

        return wait


def test_what_was_prepared_is_what_step_waits_for() -> None:
    slow = Slow()
    environments = [SingleTurn(slow), SingleTurn(slow)]
    for environment in environments:
        environment.reset(TASKS[0], 0)
    for environment, action in zip(environments, "23", strict=True):
        environment.prepare(action)
    assert [e.step(action).reward for e, action in zip(environments, "23", strict=True)] == [2.0, 0.0]
    assert slow.heard == ["begun 2", "begun 3", "waited 2", "waited 3"]
    environments[0].reset(TASKS[0], 0)
    assert environments[0].step("2").reward == 2.0  # unprepared
