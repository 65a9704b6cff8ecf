"""The expert solves every game, by looking or by knowing, and from wherever it was led."""

from __future__ import annotations

from statistics import fmean

import pytest

from tests.environments.household.rooms import HEAT, STUDY
from understudy.environments.household import (
    Split,
    demonstrate,
    game_from,
    next_action,
    task_of,
    tasks,
    tiny_household_tasks,
)
from understudy.environments.household.house import House

MAX_STEPS = {"full": 50, "tiny": 20}


@pytest.mark.parametrize(("split", "count"), [("train", 200), ("valid_seen", 150), ("valid_unseen", 150)])
def test_every_one_of_500_games_is_solved_within_an_episode(split: Split, count: int) -> None:
    for task in tasks(split, count, 11):
        played = demonstrate(task, max_steps=MAX_STEPS["full"])
        assert played.last.won is True, task.problem
        knowing = demonstrate(task, knows=True, max_steps=MAX_STEPS["full"])
        assert knowing.last.won is True and len(knowing.moves) <= len(played.moves), task.problem


@pytest.mark.parametrize("split", ["train", "valid_seen", "valid_unseen"])
def test_every_tiny_game_is_solved_within_an_episode(split: Split) -> None:
    games = tiny_household_tasks(split, 150, 5, kinds=("place", "two", "clean", "heat", "cool"))
    assert all(demonstrate(task, max_steps=24).last.won for task in games)
    usual = tiny_household_tasks(split, 150, 5)
    assert all(demonstrate(task, max_steps=MAX_STEPS["tiny"]).last.won for task in usual)


def test_a_plan_by_hand() -> None:
    assert [move.action for move in demonstrate(task_of(HEAT, "heat"), knows=True).moves] == [
        "go to countertop 1",
        "take apple 1 from countertop 1",
        "go to microwave 1",
        "heat apple 1 with microwave 1",
        "go to fridge 1",
        "open fridge 1",
        "move apple 1 to fridge 1",
    ]
    assert [move.action for move in demonstrate(task_of(STUDY, "study")).moves] == [
        "go to bed 1",
        "take book 1 from bed 1",
        "go to desk 1",
        "use desklamp 1",
    ]


def test_it_searches_only_what_it_has_not_seen_and_only_where_such_things_may_be() -> None:
    for task in tasks("train", 40, 2):
        house = House(game := _game(task))
        visited: list[str] = []
        while not house.won:
            action = next_action(house)
            if house.held < 0 and action.startswith("go to"):
                visited.append(action)
            house.act(action)
        most = 2 if game.goal.kind in ("two", "examine") else 1
        assert max(visited.count(action) for action in visited) <= most + 1, (task.problem, visited)


def test_what_it_holds_by_mistake_it_puts_down() -> None:
    house = House(HEAT)
    for action in ("go to countertop 1", "take knife 1 from countertop 1"):
        house.act(action)
    assert next_action(house) == "move knife 1 to countertop 1"
    house.act("go to microwave 1")
    assert next_action(house) == "go to countertop 1", "no knife goes into a microwave"


def test_being_led_astray_costs_steps_and_not_the_game() -> None:
    games = tasks("train", 100, 9)
    straight = [len(demonstrate(task).moves) for task in games]
    astray = [demonstrate(task, off_plan=0.3) for task in games]
    assert all(played.last.won for played in astray)
    shares = [not move.is_planned for played in astray for move in played.moves]
    assert fmean(shares) == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / len(shares)) ** 0.5)
    assert fmean(len(played.moves) for played in astray) > fmean(straight)


def test_demonstrations_repeat_and_end_where_they_are_told() -> None:
    task = tasks("train", 1, 3)[0]
    assert demonstrate(task, off_plan=0.5, seed=1) == demonstrate(task, off_plan=0.5, seed=1)
    assert demonstrate(task, off_plan=0.5, seed=1) != demonstrate(task, off_plan=0.5, seed=2)
    short = demonstrate(task, max_steps=2)
    assert len(short.moves) == 2 and short.last.won is None
    assert all(move.is_planned for move in demonstrate(task).moves)
    assert not any(move.is_planned for move in demonstrate(task, off_plan=1.0, max_steps=9).moves)


def _game(task):
    return game_from(task.columns)
