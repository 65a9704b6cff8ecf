from __future__ import annotations

import math
from collections.abc import Mapping
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
