"""Environments in processes of their own: the same episodes, and whatever goes wrong costs one rollout."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator

import pytest

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite
from tests.environments.apart_worlds import Pausing
from tests.environments.test_episodes import EPISODES, _ids, played
from understudy.environments.agents import TALLY
from understudy.environments.apart import Apart
from understudy.environments.episode import Episode
from understudy.environments.toy import RememberDigit, remember_digit_tasks
from understudy.errors import EnvironmentFailedError, UserMistakeError
from understudy.models.sampling import LocalSampler
from understudy.protocols import Task
from understudy.rollouts import FinishReason

WORLDS = "tests.environments.apart_worlds"


@pytest.fixture(scope="module")
def toy() -> Iterator[Apart]:
    apart = Apart("understudy.environments.toy:RememberDigit", seconds=20)
    yield apart
    apart.close()


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[Apart]:
    apart = Apart(f"{WORLDS}:Misbehaving", seconds=1.0)
    yield apart
    apart.close()


class TestConformance(EnvironmentSuite):
    @pytest.fixture
    def subject(self, toy: Apart) -> EnvironmentSubject:
        return EnvironmentSubject(toy, remember_digit_tasks()[:2], lambda task: [str(task.columns["digit"])] * 2)


def test_rollouts_are_those_of_the_same_environments_in_this_process(sampler: LocalSampler, toy: Apart) -> None:
    here, there = played(sampler, RememberDigit), played(sampler, toy)
    assert [_ids(one) for one in there] == [_ids(one) for one in here]
    assert [(one.reward, one.correct) for one in there] == [(one.reward, one.correct) for one in here]


def test_what_hangs_dies_raises_or_answers_nonsense_costs_its_own_rollout(
    sampler: LocalSampler, misbehaving: Apart
) -> None:
    sound = played(sampler, RememberDigit)
    started = time.monotonic()
    found = played(sampler, misbehaving)
    assert time.monotonic() - started < 15
    assert _ids(found[0]) == _ids(sound[0]) and found[0].reward == sound[0].reward
    said = ("no answer in time", "has ended", "broken pipe", "wrong type: str", "reward is not a number")
    for rollout, words in zip(found[1:], said, strict=True):
        assert (rollout.finish_reason, rollout.reward, len(rollout.turns)) == (FinishReason.FAILED, None, 1)
        assert words in str(rollout.extra["environment_error"])


def test_a_mistake_of_the_users_is_told_as_one(misbehaving: Apart) -> None:
    with pytest.raises(UserMistakeError, match="the task has no digit") as told:
        misbehaving().reset(Task("p", ""), 0)
    assert told.value.expected == "column digit"


def test_slow_environments_think_side_by_side(sampler: LocalSampler) -> None:
    """Six that take half a second for each of two turns: 6 s in turn, 1 s together."""
    assert Pausing.__module__ == WORLDS
    apart = Apart(f"{WORLDS}:Pausing", seconds=30)
    apart.check()
    started = time.monotonic()
    played(sampler, apart)
    assert time.monotonic() - started < 0.5 * 2 * len(EPISODES) - 1
    apart.close()


def test_an_agents_tally_and_deeds_come_across(sampler: LocalSampler) -> None:
    apart = Apart(f"{WORLDS}:corridor", seconds=20)
    (found,) = played(sampler, apart, [Episode(Task("c", "", {"length": 2}), key=1, group=0)])
    assert found.extra[TALLY]["steps"] == 2 and found.turns[0].deed is not None
    apart.close()


def test_no_process_outlives_its_episode(misbehaving: Apart) -> None:
    environment = misbehaving()
    environment.reset(remember_digit_tasks()[1], 0)
    environment.prepare("x")  # hangs
    pid = environment._channel._pid  # type: ignore[union-attr]
    os.kill(pid, 0)
    del environment
    gc.collect()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("it still runs")


@pytest.mark.parametrize("name", ["no_such_module:x", "json:Missing", "json:__name__"])
def test_a_factory_that_is_none_is_found_out_at_once(name: str) -> None:
    with pytest.raises(UserMistakeError, match="cannot be used"):
        Apart(name).check()


def test_names_without_a_factory_and_deadlines_of_nothing_are_refused() -> None:
    with pytest.raises(UserMistakeError, match=r"package\.module:name"):
        Apart("module_only")
    with pytest.raises(UserMistakeError, match="more than 0"):
        Apart("a:b", seconds=0)


def test_a_supervisor_that_died_is_replaced(toy: Apart) -> None:
    toy.check()
    assert toy._nursery is not None
    toy._nursery._process.kill()
    toy._nursery._process.wait()
    assert toy().reset(remember_digit_tasks()[3], 0).prompt == "digit 3:"
    with pytest.raises(EnvironmentFailedError, match="running episode"):
        toy().step("x")
