"""What never changes in a game, numbered: sets of things are the bits of one integer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from understudy.environments.household.game import Game, kind_of
from understudy.environments.household.things import (
    APPLIANCES,
    LAMP,
    OPENABLE,
    SHARP,
    THINGS,
    VESSELS,
    Power,
)

Spot = tuple[int, int, bool, int]
"""Where one is, what one holds, whether the place is open, and the things in it: all that decides what can be done."""


@dataclass(frozen=True, eq=False)
class Fixtures:
    """Tables of one game; things and places are numbered in the order of their names' letters and of the game.

    Args:
        game: what they are of. places, things: names. place_number, thing_number: back from the names.
        openable: bits of places. fits: for each place, bits of the things that may be put there.
        appliance: for each place, what it does to a thing. treatable: bits of the things to which it can be done.
        portable, lamps, sharp, vessels: bits of things. go: for each place, and the middle of the room last, where
        one can go from there. wanted: bits of the goal's things. targets: the goal's places.
        known: actions of every spot met so far. listed: words for every set of things met so far.
    """

    game: Game
    places: tuple[str, ...]
    things: tuple[str, ...]
    place_number: dict[str, int]
    thing_number: dict[str, int]
    openable: int
    fits: tuple[int, ...]
    appliance: tuple[Power | None, ...]
    treatable: dict[Power, int]
    portable: int
    lamps: int
    sharp: int
    vessels: int
    go: tuple[tuple[str, ...], ...]
    wanted: int
    targets: tuple[int, ...]
    known: dict[Spot, tuple[str, ...]] = field(default_factory=dict)
    listed: dict[int, str] = field(default_factory=dict)

    def named(self, bits: int) -> list[str]:
        """Names of a set of things, in order."""
        return [name for number, name in enumerate(self.things) if bits >> number & 1]

    def seen(self, bits: int) -> str:
        """A set of things in words, as ALFWorld's grammar lists them: ``a apple 1, and a mug 2``; ``nothing``."""
        words = self.listed.get(bits)
        if words is None:
            self.listed[bits] = words = listing(self.named(bits))
        return words


def listing(names: list[str]) -> str:
    """Names as one reads them.

    >>> listing(["apple 1", "fork 2"])
    'a apple 1, and a fork 2'
    """
    several = [f"a {name}" for name in names]
    if len(several) < 2:
        return several[0] if several else "nothing"
    return ", ".join(several[:-1]) + ", and " + several[-1]


@lru_cache(maxsize=256)
def fixtures_of(game: Game) -> Fixtures:
    """The tables of a game; those of the games played last are kept, with all that was worked out in them."""
    places, things = game.receptacles, tuple(sorted(name for name, _ in game.things))
    kinds = [kind_of(name) for name in things]
    goes = sorted(f"go to {place}" for place in places)

    def bits(chosen: Iterable[bool]) -> int:
        return sum(1 << number for number, yes in enumerate(chosen) if yes)

    def fitting(place: str) -> int:
        return bits(kind != LAMP and kind_of(place) in THINGS[kind].places for kind in kinds)

    return Fixtures(
        game=game,
        places=places,
        things=things,
        place_number={name: number for number, name in enumerate(places)},
        thing_number={name: number for number, name in enumerate(things)},
        openable=bits([kind_of(place) in OPENABLE for place in places]),
        fits=tuple(map(fitting, places)),
        appliance=tuple(APPLIANCES.get(kind_of(place)) for place in places),
        treatable={
            power: bits([kind != LAMP and power in THINGS[kind].powers for kind in kinds])
            for power in ("clean", "heat", "cool", "slice")
        },
        portable=bits([kind != LAMP for kind in kinds]),
        lamps=bits([kind == LAMP for kind in kinds]),
        sharp=bits([kind in SHARP for kind in kinds]),
        vessels=bits([kind in VESSELS for kind in kinds]),
        go=(*(tuple(go for go in goes if go != f"go to {place}") for place in places), tuple(goes)),
        wanted=bits([kind == game.goal.thing for kind in kinds]),
        targets=tuple(number for number, place in enumerate(places) if kind_of(place) == game.goal.target),
    )
