"""An expert that finds its way to the goal from wherever it stands: every action is a function of the house alone."""

from __future__ import annotations

from understudy.environments.household.fixtures import Fixtures
from understudy.environments.household.game import kind_of
from understudy.environments.household.house import NOBODY, House
from understudy.environments.household.things import LAMP_PLACES, THINGS


def next_action(house: House, *, knows: bool = False) -> str:
    """The next action towards the goal, whatever was done before; ``look`` once it is won.

    The expert looks for what it does not see in the order of the room, going on from where it stands, at places where
    such a thing may be; so a student that sees a few turns only can do the same.

    Args:
        knows: it knows where everything lies, and goes there straight.
    """
    if house.won:
        return "look"
    known = [bits if knows or house.looked >> place & 1 else 0 for place, bits in enumerate(house.contents)]
    fixtures, goal = house.fixtures, house.fixtures.game.goal
    if house.held >= 0 and not fixtures.wanted >> house.held & 1:
        return _put_down(house)
    if goal.kind == "examine":
        return _examine(house, known)
    target = _target(fixtures, known)
    return _bring(house, target) if house.held >= 0 else _fetch(house, known, leave=target)


def _examine(house: House, known: list[int]) -> str:
    if house.held < 0:
        return _fetch(house, known, leave=NOBODY)
    lamps = house.fixtures.lamps
    place = next((number for number, bits in enumerate(known) if bits & lamps), NOBODY)
    if place < 0:
        return _search(house, LAMP_PLACES)
    if house.at != place:
        return f"go to {house.fixtures.places[place]}"
    return f"use {house.fixtures.named(house.contents[place] & lamps)[0]}"


def _target(fixtures: Fixtures, known: list[int]) -> int:
    """Where the goal's things go: the place of the right kind that has most of them already."""
    return max(fixtures.targets, key=lambda place: ((known[place] & fixtures.wanted).bit_count(), -place))


def _bring(house: House, target: int) -> str:
    fixtures, treatment = house.fixtures, house.fixtures.game.goal.treatment
    if treatment is not None and not house.has(treatment) >> house.held & 1:
        place = next(number for number, done in enumerate(fixtures.appliance) if done == treatment)
        if house.at != place:
            return f"go to {fixtures.places[place]}"
        return f"{treatment} {fixtures.things[house.held]} with {fixtures.places[place]}"
    return _put_into(house, target)


def _put_into(house: House, place: int) -> str:
    name = house.fixtures.places[place]
    if house.at != place:
        return f"go to {name}"
    return f"open {name}" if house.is_shut else f"move {house.fixtures.things[house.held]} to {name}"


def _put_down(house: House) -> str:
    """Get rid of what is held: here if it fits, else at the first place where it does."""
    fits = [place for place, bits in enumerate(house.fixtures.fits) if bits >> house.held & 1]
    return _put_into(house, house.at if house.at in fits else fits[0])


def _fetch(house: House, known: list[int], *, leave: int) -> str:
    """Take one of the goal's things, but none that lies where it belongs; look for one where none is known."""
    fixtures, treatment = house.fixtures, house.fixtures.game.goal.treatment
    stays = fixtures.wanted if treatment is None else fixtures.wanted & house.has(treatment)
    spare = [bits & fixtures.wanted & ~(stays if place == leave else 0) for place, bits in enumerate(known)]
    here = [house.at] if house.at >= 0 and spare[house.at] else []
    found = [*here, *(place for place, bits in enumerate(spare) if bits)]
    if not found:
        return _search(house, THINGS[fixtures.game.goal.thing].places)
    place = found[0]
    name = fixtures.places[place]
    if house.at != place:
        return f"go to {name}"
    return f"open {name}" if house.is_shut else f"take {fixtures.named(spare[place])[0]} from {name}"


def _search(house: House, kinds: frozenset[str]) -> str:
    """Open the place one stands at, else go on to the next of these kinds that was not looked into."""
    places = house.fixtures.places
    new = [place for place, name in enumerate(places) if kind_of(name) in kinds and not house.looked >> place & 1]
    if house.at in new:
        return f"open {places[house.at]}"
    after = [place for place in new if place > house.at]
    return f"go to {places[(after or new)[0]]}"
