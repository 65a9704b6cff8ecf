"""Games by the seed: the same everywhere, apart where they should be, and files of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from understudy.environments.household import (
    TASK_KINDS,
    Split,
    game_from,
    load_tasks,
    save_tasks,
    tasks,
    tiny_household_tasks,
)
from understudy.environments.household.drawing import Range, draw_game, is_held_out
from understudy.environments.household.game import Game, kind_of
from understudy.environments.household.house import House
from understudy.environments.household.rooms import NUM_SEEN, ROOMS, RoomKind, layout, layouts
from understudy.environments.household.things import LAMP, LAMP_PLACES, THINGS
from understudy.errors import DataError
from understudy.protocols import Task

SPLITS: tuple[Split, ...] = ("train", "valid_seen", "valid_unseen")


def games(split: Split, count: int = 120) -> list[Game]:
    return [game_from(task.columns) for task in tasks(split, count)]


def test_a_seed_gives_the_same_games_and_a_longer_list_only_more() -> None:
    assert tasks("train", 20, 7)[:5] == tasks("train", 5, 7)
    assert [task.columns for task in tasks("train", 5, 7)] != [task.columns for task in tasks("train", 5, 8)]
    first = tasks("train", 1, 0)[0]
    assert first.problem == "household-train-0-0" and first.domain == f"household/{first.columns['kind']}"


@pytest.mark.parametrize("split", SPLITS)
def test_every_sort_of_task_comes_and_none_is_won_at_the_start(split: Split) -> None:
    drawn = games(split)
    assert Counter(game.goal.kind for game in drawn).keys() == set(TASK_KINDS)
    assert not any(House(game).won for game in drawn)


def test_unseen_games_have_goals_and_rooms_that_training_never_has() -> None:
    seen_rooms = {layout(room, number) for room in ROOMS if room != "tiny" for number in range(NUM_SEEN)}
    for split in SPLITS:
        unseen = split == "valid_unseen"
        assert all(is_held_out(game.goal) is unseen for game in games(split))
        assert unseen or all(game.receptacles in seen_rooms for game in games(split))
    goals = {split: {game.goal for game in games(split, 400)} for split in SPLITS}
    assert not goals["train"] & goals["valid_unseen"]
    assert len(goals["train"] & goals["valid_seen"]) > 30, "seen games ask for what training asks for"
    assert not set(layouts(unseen=True)) & set(layouts(unseen=False))


def test_seen_games_are_other_games() -> None:
    train = {str(task.columns["things"]) for task in tasks("train", 200)}
    assert not train & {str(task.columns["things"]) for task in tasks("valid_seen", 200)}


def test_a_tiny_house_is_one_house_with_few_things() -> None:
    drawn = [game_from(task.columns) for task in tiny_household_tasks("train", 100)]
    assert {game.receptacles for game in drawn} == {layout("tiny", 0)} and len(drawn[0].receptacles) == 8
    assert max(len(game.things) for game in drawn) <= 6
    assert {game.goal.kind for game in drawn} == {"place", "clean", "heat"}
    assert {name for game in drawn for name, _ in game.things} <= {f"{kind} 1" for kind in ROOMS["tiny"].things}
    with pytest.raises(DataError, match="a tiny house has no lamp"):
        tiny_household_tasks("train", 1, kinds=("examine",))


def test_all_kinds_of_task_fit_somewhere_on_both_sides_of_the_cut() -> None:
    for kind in TASK_KINDS:
        assert {task.columns["kind"] for split in SPLITS for task in tasks(split, 5, kinds=(kind,))} == {kind}


def test_a_sort_that_no_room_has_is_refused() -> None:
    rooms: tuple[RoomKind, ...] = ("bathroom",)
    with pytest.raises(DataError, match="no room has such a task; got heat, seen"):
        draw_game(Range(rooms=rooms, kinds=("heat",), unseen=False), Random(0))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tasks("train", 0), "zero tasks were asked for; got 0"),
        (lambda: tasks("train", -3), "zero tasks"),
        (lambda: tasks("test", 1), "household has no such split; got 'test'; expected train, valid_seen, valid_unseen"),
        (lambda: tasks("train", 1, kinds=()), "no such sorts of task"),
        (lambda: tasks("train", 1, kinds=("fly",)), "no such sorts of task"),
    ],
)
def test_what_cannot_be_drawn_is_said(call, said: str) -> None:
    with pytest.raises(DataError, match=said):
        call()


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    drawn = tasks("valid_seen", 12, 4)
    save_tasks(tmp_path / "games.jsonl", drawn)
    assert load_tasks(tmp_path / "games.jsonl") == drawn


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds none; got games.jsonl"),
        ("\n\n", "holds none"),
        ("{", "games.jsonl line 1 is no JSON"),
        ("[1]", "games.jsonl line 1 is no household task"),
        ('\n{"kind": "heat"}', "games.jsonl line 2: a household task has no thing"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "games.jsonl").write_text(text)
    with pytest.raises(DataError, match=said):
        load_tasks(tmp_path / "games.jsonl")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read; got none"):
        load_tasks(tmp_path / "none.jsonl")


def test_things_begin_only_where_they_may_lie() -> None:
    for game in games("train"):
        for name, place in game.things:
            kind = kind_of(name)
            assert kind_of(place) in (LAMP_PLACES if kind == LAMP else THINGS[kind].places)


def test_tasks_are_tasks() -> None:
    assert all(isinstance(task, Task) and task.prompt == task.columns["prompt"] for task in tasks("train", 3))
