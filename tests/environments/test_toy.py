from __future__ import annotations

import pytest

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite, walk
from understudy.environments.toy import CHARACTERS, RememberDigit, remember_digit_tasks
from understudy.protocols import Task


class TestFresh(EnvironmentSuite):
    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        return EnvironmentSubject(RememberDigit, remember_digit_tasks(), lambda task: [str(task.columns["digit"])] * 2)


class TestGrowing(EnvironmentSuite):
    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        solution = lambda task: [str(task.columns["digit"])] * 2  # noqa: E731
        return EnvironmentSubject(lambda: RememberDigit("growing"), remember_digit_tasks(), solution)


def test_rewards_come_in_both_turns() -> None:
    task = remember_digit_tasks()[7]
    for actions, rewards, correct, second in (
        (["7", "7"], [0, 0.5, 0.5], True, "said 7 ok:"),
        (["3", "7"], [0, 0, 0.5], False, "said 3 no:"),
        (["7", "1"], [0, 0.5, 0], False, "said 7 ok:"),
    ):
        seen = walk(RememberDigit(), task, actions)
        assert [o.reward for o in seen] == rewards
        assert seen[-1].correct is correct
        assert [o.prompt for o in seen[:2]] == ["digit 7:", second]


def test_the_seed_chooses_where_the_task_does_not() -> None:
    assert RememberDigit().reset(Task("any", ""), 34).prompt == "digit 4:"


def test_prompts_need_few_characters() -> None:
    prompts = {o.prompt for task in remember_digit_tasks() for o in walk(RememberDigit(), task, ["3"])}
    assert set("".join(str(p) for p in prompts)) <= set(CHARACTERS)
    assert len(CHARACTERS) == len(set(CHARACTERS)) <= 26
