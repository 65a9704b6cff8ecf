"""The rules of the house, each against the sentence and the actions that ALFWorld's engine gave for the same walk."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.environments.household.rooms import HEAT, STUDY
from understudy.environments.household import Game, Goal
from understudy.environments.household.house import NOTHING, House


def walked(game: Game, *actions: str) -> tuple[House, list[str]]:
    house = House(game)
    return house, [house.act(action) for action in actions]


def test_an_apple_is_heated_and_stored() -> None:
    house, said = walked(
        HEAT,
        "go to countertop 1",
        "take apple 1 from countertop 1",
        "inventory",
        "go to microwave 1",
        "heat apple 1 with microwave 1",
        "examine apple 1",
        "go to fridge 1",
        "move apple 1 to fridge 1",
        "open fridge 1",
        "move apple 1 to fridge 1",
    )
    assert said == [
        "You arrive at countertop 1. On the countertop 1, you see a apple 1, and a knife 1.",
        "You pick up the apple 1 from the countertop 1.",
        "You are carrying: a apple 1.",
        "You arrive at microwave 1. The microwave 1 is closed.",
        "You heat the apple 1 using the microwave 1.",
        "This is a hot apple 1.",
        "You arrive at fridge 1. The fridge 1 is closed.",
        NOTHING,
        "You open the fridge 1. The fridge 1 is open. In it, you see a apple 2.",
        "You move the apple 1 to the fridge 1.",
    ]
    assert house.won


def test_cooling_undoes_heating_and_cleaning_stays() -> None:
    house, said = walked(
        HEAT,
        "go to countertop 1",
        "take apple 1 from countertop 1",
        "go to sinkbasin 1",
        "clean apple 1 with sinkbasin 1",
        "examine apple 1",
        "go to microwave 1",
        "heat apple 1 with microwave 1",
        "examine apple 1",
        "go to fridge 1",
        "cool apple 1 with fridge 1",
        "examine apple 1",
        "open fridge 1",
        "move apple 1 to fridge 1",
    )
    assert said[4::3] == [
        "This is a clean apple 1.",
        "This is a hot and clean apple 1.",
        "This is a cool and clean apple 1.",
    ]
    assert not house.won, "it is no longer hot"


def test_a_knife_slices_what_lies_here_even_behind_a_door() -> None:
    house, said = walked(
        HEAT,
        "go to countertop 1",
        "take knife 1 from countertop 1",
        "slice apple 1 with knife 1",
        "go to fridge 1",
        "slice apple 2 with knife 1",
        "slice apple 1 with knife 1",
        "go to countertop 1",
        "move knife 1 to countertop 1",
        "take apple 1 from countertop 1",
        "examine apple 1",
    )
    assert said[2] == "You sliced the apple 1 with the knife 1."
    assert said[4] == "You sliced the apple 2 with the knife 1." and said[5] == NOTHING
    assert said[-1] == "This is a sliced apple 1." and house.sliced.bit_count() == 2


def test_a_thing_is_looked_at_under_the_lamp() -> None:
    house, said = walked(STUDY, "go to desk 1", "use desklamp 1", "take desklamp 1 from desk 1", "go to bed 1")
    assert said[1:3] == ["You turn on the desklamp 1.", NOTHING]
    house.act("take book 1 from bed 1")
    assert not house.won, "the lamp is elsewhere"
    house.act("go to desk 1")
    assert house.won, "a lamp once used counts as on"


def test_two_of_a_kind_must_lie_in_one_place() -> None:
    game = Game(
        Goal("two", "pen", "drawer"),
        ("desk 1", "drawer 1", "drawer 2"),
        (("pen 1", "desk 1"), ("pen 2", "desk 1")),
        opened=("drawer 1", "drawer 2"),
    )
    moves = ("go to desk 1", "take pen {n} from desk 1", "go to drawer {d}", "move pen {n} to drawer {d}")
    apart, _ = walked(game, *(move.format(n=n, d=n) for n in (1, 2) for move in moves))
    together, _ = walked(game, *(move.format(n=n, d=2) for n in (1, 2) for move in moves))
    assert not apart.won and together.won


def test_what_is_on_offer_where() -> None:
    house, _ = walked(HEAT)
    gos = tuple(sorted(f"go to {place}" for place in HEAT.receptacles))
    assert house.admissible() == (*gos, "inventory", "look")
    house.act("go to countertop 1")
    elsewhere = tuple(go for go in gos if go != "go to countertop 1")
    assert house.admissible() == (
        "examine countertop 1",
        *elsewhere,
        "inventory",
        "look",
        "take apple 1 from countertop 1",
        "take knife 1 from countertop 1",
    )
    house.act("take knife 1 from countertop 1")
    assert house.admissible() == (
        "examine countertop 1",
        "examine knife 1",
        *elsewhere,
        "inventory",
        "look",
        "move knife 1 to countertop 1",
        "slice apple 1 with knife 1",
    )
    house.act("go to cabinet 1")
    assert {"close cabinet 1", "examine knife 1"} < set(house.admissible())
    assert not any(action.startswith(("take", "move", "open")) for action in house.admissible())
    house.act("close cabinet 1")
    assert "open cabinet 1" in house.admissible() and "close cabinet 1" not in house.admissible()


def test_looking_around_again_in_the_middle_shows_nothing() -> None:
    house, said = walked(STUDY, "look", "go to bed 1", "look")
    assert house.around().endswith("you see a bed 1, a desk 1, and a shelf 1.")
    assert said[0].endswith("you see nothing.") and said[2] == "You are facing the bed 1. Next to it, you see nothing."


def test_vessels_and_ordinary_things_are_examined_in_the_hand_only() -> None:
    _, said = walked(HEAT, "go to cabinet 1", "examine mug 1", "take mug 1 from cabinet 1", "examine mug 1")
    assert said[1] == NOTHING and said[3] == "This is a normal mug 1. In it, you see nothing."
    _, said = walked(STUDY, "go to shelf 1", "take pen 1 from shelf 1", "examine pen 1", "examine shelf 1")
    assert said[2:] == ["There's nothing special about pen 1.", "On the shelf 1, you see nothing."]


@pytest.mark.parametrize(
    "action",
    [
        "",
        " ",
        "go",
        "go to",
        "go to fridge",
        "go at fridge 1",
        "go to castle 1",
        "Go to fridge 1",
        "go  to fridge 1",
        "help",
        "take apple 1 from fridge 1",
        "open fridge 1",
        "move apple 1 to fridge 1",
        "heat apple 1 with microwave 1",
        "slice apple 1 with knife 1",
        "slice apple 1 by knife 1",
        "use desklamp 1",
        "examine apple 1",
        "\n\x00 drop tables",
    ],
)
def test_nothing_happens_for_what_is_no_action_here(action: str) -> None:
    house, said = walked(HEAT, action)
    assert said == [NOTHING] and (house.at, house.held, house.looked) == (-1, -1, 0)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([HEAT, STUDY]), st.lists(st.integers(0, 10_000), max_size=40))
def test_what_is_on_offer_does_something_and_nothing_else_does(game: Game, choices: list[int]) -> None:
    """Along a random walk: every action offered is understood, every other one that could be is not; things stay."""
    house, everything = House(game), _every_action(game)
    for choice in choices:
        offered = house.admissible()
        assert list(offered) == sorted(set(offered)) and set(offered) <= everything
        for action in everything:
            copy = _copied(house)
            assert (copy.act(action) != NOTHING) == (action in offered), action
        house.act(offered[choice % len(offered)])
        held = 0 if house.held < 0 else 1 << house.held
        assert sum(house.contents) + held == (1 << len(game.things)) - 1


def _copied(house: House) -> House:
    copy = House(house.fixtures.game)
    for name in House.__slots__:
        value = getattr(house, name)
        setattr(copy, name, list(value) if isinstance(value, list) else value)
    return copy


def _every_action(game: Game) -> set[str]:
    places, things = game.receptacles, [name for name, _ in game.things]
    return {
        "look",
        "inventory",
        *(f"{verb} {place}" for verb in ("go to", "open", "close", "examine") for place in places),
        *(f"{verb} {thing}" for verb in ("examine", "use") for thing in things),
        *(
            f"{verb} {thing} {joint} {place}"
            for verb, joint in (("take", "from"), ("move", "to"), ("clean", "with"), ("heat", "with"), ("cool", "with"))
            for thing in things
            for place in places
        ),
        *(f"slice {thing} with {blade}" for thing in things for blade in things),
    }
