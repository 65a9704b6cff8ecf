"""Games drawn by chance, every one of them with a way to its goal."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from understudy.environments.household.game import Game, Goal, TaskKind, kind_of
from understudy.environments.household.rooms import ROOMS, RoomKind, layout, layouts
from understudy.environments.household.things import LAMP, LAMP_PLACES, THINGS
from understudy.errors import DataError

_HELD_OUT = 5
"""One in so many goals never occurs in training."""
_TRIES = 1000
"""A room may have no goal of a sort on one side of the cut; then another is drawn."""


@dataclass(frozen=True)
class Range:
    """What may be drawn.

    Args:
        rooms: kinds of rooms. kinds: sorts of task. unseen: only rooms and goals that training never meets.
    """

    rooms: tuple[RoomKind, ...]
    kinds: tuple[TaskKind, ...]
    unseen: bool


def is_held_out(goal: Goal) -> bool:
    """Whether a goal is kept from training, by a hash of its words.

    >>> is_held_out(Goal("heat", "apple", "fridge")) in (True, False)
    True
    """
    return zlib.crc32(f"{goal.kind} {goal.thing} {goal.target}".encode()) % _HELD_OUT == 0


def draw_game(wanted: Range, chance: Random) -> Game:
    """One game: first its sort of task, then a room in which that can be asked, then a goal, then where things lie.

    Raises:
        DataError: no room has a goal of that sort on this side of the cut.
    """
    kind = chance.choice(wanted.kinds)
    rooms = [name for name in wanted.rooms if kind in ROOMS[name].tasks]
    for _ in range(_TRIES if rooms else 0):
        room = chance.choice(rooms)
        places = layout(room, chance.choice(layouts(unseen=wanted.unseen)))
        goals = [goal for goal in goals_in(room, places, kind) if is_held_out(goal) is wanted.unseen]
        if goals:
            return _furnished(room, places, chance.choice(goals), chance)
    raise DataError("no room has such a task", got=f"{kind}, {'unseen' if wanted.unseen else 'seen'}")


def goals_in(room: RoomKind, places: Sequence[str], kind: TaskKind) -> list[Goal]:
    """Every goal of a sort that can be asked in a room."""
    found = {kind_of(place) for place in places}
    goals = []
    for thing in ROOMS[room].things:
        fits = THINGS[thing].places & found
        if kind == "examine":
            goals += [Goal(kind, thing, LAMP)] if fits and LAMP_PLACES & found else []
            continue
        if kind in ("clean", "heat", "cool") and kind not in THINGS[thing].powers:
            continue
        # A thing begins somewhere else than where it is to go.
        goals += [Goal(kind, thing, target) for target in sorted(fits) if len(fits) > 1]
    return goals


def _furnished(room: RoomKind, places: tuple[str, ...], goal: Goal, chance: Random) -> Game:
    inventory = [goal.thing] * (2 if goal.kind == "two" else 1)
    if room != "tiny" and chance.random() < 0.3:
        inventory.append(goal.thing)
    others = [thing for thing in ROOMS[room].things if thing != goal.thing]
    inventory += chance.choices(others, k=chance.randint(*ROOMS[room].clutter))
    counts: dict[str, int] = {}
    things: list[tuple[str, str]] = []
    for thing in inventory:
        spots = [place for place in sorted({kind_of(p) for p in places}) if place in THINGS[thing].places]
        if thing == goal.thing:
            spots = [spot for spot in spots if spot != goal.target]
        if not spots or (room == "tiny" and thing in counts and thing != goal.thing):
            continue  # this room has no place for it; a tiny one has no second of it
        counts[thing] = counts.get(thing, 0) + 1
        things.append((f"{thing} {counts[thing]}", _one_of(places, chance.choice(spots), chance)))
    lamps = sorted(LAMP_PLACES & {kind_of(place) for place in places})
    if lamps and room != "tiny" and (goal.kind == "examine" or chance.random() < 0.5):
        things.append((f"{LAMP} 1", _one_of(places, chance.choice(lamps), chance)))
    return Game(goal, places, tuple(sorted(things)))


def _one_of(places: Sequence[str], kind: str, chance: Random) -> str:
    return chance.choice([place for place in places if kind_of(place) == kind])
