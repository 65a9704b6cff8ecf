"""What is a game, and what is none."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.environments.household.rooms import HEAT, STUDY
from understudy.environments.household import Game, Goal, game_from
from understudy.errors import DataError


@pytest.mark.parametrize("game", [HEAT, STUDY])
def test_columns_hold_the_whole_game(game: Game) -> None:
    assert game_from(game.columns()) == game


def test_a_file_may_leave_out_what_is_open() -> None:
    columns = {name: value for name, value in HEAT.columns().items() if name != "opened"}
    assert game_from(columns) == replace(HEAT, opened=())


@pytest.mark.parametrize("name", ["kind", "thing", "target", "receptacles", "things"])
def test_a_missing_field_is_named(name: str) -> None:
    columns = HEAT.columns()
    del columns[name]
    with pytest.raises(DataError, match=f"^a household task has no {name}; got .*expected kind, thing, target"):
        game_from(columns)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "juggle"}, "no such sort of task; got 'juggle'; expected place, two, examine, clean, heat, cool"),
        ({"thing": "unicorn"}, "a game lacks the things of its goal; got heat a unicorn"),
        (
            {"thing": "mug", "target": "drawer"},
            "a game's goal cannot be reached; got heat a mug and put it in the drawer",
        ),
        ({"thing": "knife", "target": "drawer"}, "a game's goal cannot be reached; got heat a knife"),
        ({"kind": "two", "thing": "mug", "target": "cabinet"}, "a game lacks the things of its goal; got put two mug"),
        ({"kind": "examine"}, "a game's goal cannot be reached; got look at a apple under the fridge"),
        ({"receptacles": "fridge 1"}, "receptacles of a household task is no list of names; got 'fridge 1'"),
        ({"things": ["apple 1"]}, "a household thing lies nowhere; got 'apple 1'"),
        ({"things": ["apple 1 in attic 1"]}, "a game names a place that its room does not have; got 'attic 1'"),
        ({"things": ["apple 2 in fridge 1"]}, "a name among a game's things is none; got 'apple 2'"),
        ({"things": ["apple 1 in fridge 1", "apple 1 in fridge 1"]}, "two of a game's things have one name"),
        ({"opened": ["countertop 1"]}, "a game opens a place that cannot be opened; got 'countertop 1'"),
        ({"receptacles": ["castle 1"]}, "a name among a game's receptacles is none; got 'castle 1'"),
    ],
)
def test_what_is_no_game_is_said_in_one_sentence(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError) as raised:
        game_from({**HEAT.columns(), **change})
    assert re.search(said, str(raised.value)) and "\n" not in str(raised.value)


def test_a_room_without_the_appliance_cannot_heat() -> None:
    places = tuple(place for place in HEAT.receptacles if place != "microwave 1")
    with pytest.raises(DataError, match="cannot be reached"):
        replace(HEAT, receptacles=places)


def test_goals_in_words() -> None:
    said = [
        Goal(kind, "mug", "desklamp" if kind == "examine" else "shelf").sentence  # type: ignore[arg-type]
        for kind in ("place", "two", "examine", "clean", "heat", "cool")
    ]
    assert said == [
        "put a mug on the shelf",
        "put two mug on the shelf",
        "look at a mug under the desklamp",
        "clean a mug and put it on the shelf",
        "heat a mug and put it on the shelf",
        "cool a mug and put it on the shelf",
    ]
