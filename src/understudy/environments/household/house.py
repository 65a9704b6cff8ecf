"""A house as it stands: what lies where, what is open, hot or clean, and the rules by which an action changes it."""

from __future__ import annotations

from collections.abc import Callable

from understudy.environments.household.fixtures import Fixtures, Spot, fixtures_of
from understudy.environments.household.game import Game
from understudy.environments.household.things import Power

NOTHING = "Nothing happens."
NOBODY = -1
"""In place of a number: in the middle of the room, or with empty hands."""


class House:
    """The state of one episode, with the rules of ALFWorld's domain; a few integers, cheap to step.

    The sentences are those of ALFWorld's grammar, so that who learned here can go on there. Rules one might not
    expect, all the real engine's: heating, cooling, cleaning and slicing work in and on closed places; a lamp that was
    used once counts as on; only what is held can be examined, besides the place one stands at; the room is described
    once, at the start, and who looks around in its middle again sees nothing.

    Attributes:
        fixtures: what never changes. at: number of the place one stands at. held: number of the thing in hand.
        opened: bits of places. contents: for each place, bits of things. clean, hot, cool, sliced, used: bits of
        things. looked: bits of places whose contents were shown at least once.
    """

    __slots__ = ("at", "clean", "contents", "cool", "fixtures", "held", "hot", "looked", "opened", "sliced", "used")

    def __init__(self, game: Game) -> None:
        fixtures = fixtures_of(game)
        self.fixtures: Fixtures = fixtures
        self.at = self.held = NOBODY
        self.contents = [0] * len(fixtures.places)
        for name, place in game.things:
            self.contents[fixtures.place_number[place]] |= 1 << fixtures.thing_number[name]
        self.opened = sum(1 << fixtures.place_number[place] for place in game.opened)
        self.clean = self.hot = self.cool = self.sliced = self.used = self.looked = 0

    # ------------------------------------------------------------------------------------------ what is so

    @property
    def is_shut(self) -> bool:
        """Whether the place one stands at is closed."""
        bit = 1 << self.at
        return bool(self.fixtures.openable & bit and not self.opened & bit)

    def has(self, power: Power) -> int:
        """Bits of the things to which it was done, and still holds."""
        return {"clean": self.clean, "heat": self.hot, "cool": self.cool, "slice": self.sliced}[power]

    @property
    def won(self) -> bool:
        """Whether the goal is reached as things stand."""
        fixtures = self.fixtures
        goal, wanted = fixtures.game.goal, fixtures.wanted
        if goal.kind == "examine":
            return self.held >= 0 and bool(wanted >> self.held & 1 and self.contents[self.at] & self.used)
        treatment = goal.treatment
        if treatment is not None:
            wanted &= self.has(treatment)
        least = 2 if goal.kind == "two" else 1
        return any((self.contents[place] & wanted).bit_count() >= least for place in fixtures.targets)

    def admissible(self) -> tuple[str, ...]:
        """All actions that do something, sorted; worked out once for each spot of a game, ``help`` left out."""
        if self.at < 0:
            return (*self.fixtures.go[NOBODY], "inventory", "look")
        spot = (self.at, self.held, bool(self.opened >> self.at & 1), self.contents[self.at])
        actions = self.fixtures.known.get(spot)
        if actions is None:
            self.fixtures.known[spot] = actions = actions_at(self.fixtures, spot)
        return actions

    def around(self) -> str:
        """The room from its middle, as an episode begins."""
        places = ", ".join(f"a {name}" for name in self.fixtures.places[:-1])
        return (
            "You are in the middle of a room. Looking quickly around you, you see "
            + (f"{places}, and " if places else "")
            + f"a {self.fixtures.places[-1]}."
        )

    # ------------------------------------------------------------------------------------------ what is done

    def act(self, action: str) -> str:
        """Do it, and say what came of it: ``Nothing happens.`` for whatever cannot be done here."""
        words = action.split(" ")
        rule = _RULES.get((words[0], len(words)))
        return (rule(self, words) if rule is not None else None) or NOTHING

    def _look(self, _: list[str]) -> str:
        if self.at < 0:
            return "You are in the middle of a room. Looking quickly around you, you see nothing."
        return f"You are facing the {self._here}. Next to it, you see nothing."

    def _inventory(self, _: list[str]) -> str:
        if self.held < 0:
            return "You are not carrying anything."
        return f"You are carrying: a {self.fixtures.things[self.held]}."

    def _go(self, words: list[str]) -> str | None:
        place = self.fixtures.place_number.get(f"{words[2]} {words[3]}")
        if words[1] != "to" or place is None or place == self.at:
            return None
        self.at = place
        return f"You arrive at {self._here}. {self._view()}"

    def _open(self, words: list[str]) -> str | None:
        if not self._is_here(words[1], words[2]) or not self.is_shut:
            return None
        self.opened |= 1 << self.at
        return f"You open the {self._here}. {self._view()}"

    def _close(self, words: list[str]) -> str | None:
        if not self._is_here(words[1], words[2]) or not self.opened >> self.at & 1:
            return None
        self.opened &= ~(1 << self.at)
        return f"You close the {self._here}."

    def _take(self, words: list[str]) -> str | None:
        thing = self._thing_with_place(words, "from")
        if thing < 0 or self.held >= 0 or self.is_shut:
            return None
        if not self.contents[self.at] & self.fixtures.portable & 1 << thing:
            return None
        self.contents[self.at] ^= 1 << thing
        self.held = thing
        return f"You pick up the {self.fixtures.things[thing]} from the {self._here}."

    def _move(self, words: list[str]) -> str | None:
        thing = self._thing_with_place(words, "to")
        if thing < 0 or thing != self.held or self.is_shut or not self.fixtures.fits[self.at] >> thing & 1:
            return None
        self.contents[self.at] |= 1 << thing
        self.held = NOBODY
        return f"You move the {self.fixtures.things[thing]} to the {self._here}."

    def _treat(self, words: list[str]) -> str | None:
        thing = self._thing_with_place(words, "with")
        power = words[0]
        if thing < 0 or thing != self.held or self.fixtures.appliance[self.at] != power:
            return None
        bit = 1 << thing
        if not self.fixtures.treatable[power] & bit:
            return None
        if power == "clean":
            self.clean |= bit
        elif power == "heat":
            self.hot, self.cool = self.hot | bit, self.cool & ~bit
        else:
            self.hot, self.cool = self.hot & ~bit, self.cool | bit
        return f"You {power} the {self.fixtures.things[thing]} using the {self._here}."

    def _slice(self, words: list[str]) -> str | None:
        fixtures = self.fixtures
        thing = fixtures.thing_number.get(f"{words[1]} {words[2]}", NOBODY)
        blade = fixtures.thing_number.get(f"{words[4]} {words[5]}", NOBODY)
        if thing < 0 or blade < 0 or blade != self.held or words[3] != "with" or self.at < 0:
            return None
        if not fixtures.sharp >> blade & 1 or not self.contents[self.at] & fixtures.treatable["slice"] & 1 << thing:
            return None
        self.sliced |= 1 << thing
        return f"You sliced the {fixtures.things[thing]} with the {fixtures.things[blade]}."

    def _use(self, words: list[str]) -> str | None:
        lamp = self.fixtures.thing_number.get(f"{words[1]} {words[2]}", NOBODY)
        if lamp < 0 or self.at < 0 or not self.contents[self.at] & self.fixtures.lamps & 1 << lamp:
            return None
        self.used |= 1 << lamp
        return f"You turn on the {self.fixtures.things[lamp]}."

    def _examine(self, words: list[str]) -> str | None:
        if self._is_here(words[1], words[2]):
            return self._view()
        thing = self.fixtures.thing_number.get(f"{words[1]} {words[2]}", NOBODY)
        return self._state_of(thing) if 0 <= thing == self.held else None

    # ------------------------------------------------------------------------------------------ what is said

    @property
    def _here(self) -> str:
        return self.fixtures.places[self.at]

    def _is_here(self, kind: str, number: str) -> bool:
        return self.at >= 0 and self._here == f"{kind} {number}"

    def _thing_with_place(self, words: list[str], between: str) -> int:
        """The number of the thing in ``VERB THING between PLACE``, where the place is here."""
        if words[3] != between or not self._is_here(words[4], words[5]):
            return NOBODY
        return self.fixtures.thing_number.get(f"{words[1]} {words[2]}", NOBODY)

    def _view(self) -> str:
        at = self.at
        if not self.fixtures.openable >> at & 1:
            self.looked |= 1 << at
            return f"On the {self._here}, you see {self.fixtures.seen(self.contents[at])}."
        if not self.opened >> at & 1:
            return f"The {self._here} is closed."
        self.looked |= 1 << at
        return f"The {self._here} is open. In it, you see {self.fixtures.seen(self.contents[at])}."

    def _state_of(self, thing: int) -> str:
        name, bit = self.fixtures.things[thing], 1 << thing
        if self.fixtures.vessels & bit:
            return f"This is a normal {name}. In it, you see nothing."
        is_clean, is_sliced = bool(self.clean & bit), bool(self.sliced & bit)
        warmth = "hot" if self.hot & bit else "cool" if self.cool & bit else ""
        words = " and ".join(word for word in (warmth, "clean" if is_clean else "") if word)
        if words == "cool" and not is_sliced:
            words = "cold"  # so the grammar says it where nothing else is to be said
        if is_sliced:
            words = f"{words} sliced".strip()
        return f"This is a {words} {name}." if words else f"There's nothing special about {name}."


_RULES: dict[tuple[str, int], Callable[[House, list[str]], str | None]] = {
    ("look", 1): House._look,
    ("inventory", 1): House._inventory,
    ("go", 4): House._go,
    ("open", 3): House._open,
    ("close", 3): House._close,
    ("use", 3): House._use,
    ("examine", 3): House._examine,
    ("take", 6): House._take,
    ("move", 6): House._move,
    ("clean", 6): House._treat,
    ("heat", 6): House._treat,
    ("cool", 6): House._treat,
    ("slice", 6): House._slice,
}
"""By the verb and the number of words."""


def actions_at(fixtures: Fixtures, spot: Spot) -> tuple[str, ...]:
    """All actions that do something at a spot, sorted: the groups stand in the order of their verbs."""
    at, held, is_open, things = spot
    here, is_openable = fixtures.places[at], bool(fixtures.openable >> at & 1)
    is_reachable = is_open or not is_openable
    power = fixtures.appliance[at]
    treats = power is not None and held >= 0 and bool(fixtures.treatable[power] >> held & 1)
    treated = [f"{power} {fixtures.things[held]} with {here}"] if treats else []
    blade = fixtures.things[held] if held >= 0 and fixtures.sharp >> held & 1 else ""
    puts = held >= 0 and is_reachable and bool(fixtures.fits[at] >> held & 1)
    taken = things & fixtures.portable if held < 0 and is_reachable else 0
    return (
        *(treated if power == "clean" else ()),
        *((f"close {here}",) if is_openable and is_open else ()),
        *(treated if power == "cool" else ()),
        *sorted(f"examine {name}" for name in (here, *fixtures.things[held : held + 1] * (held >= 0))),
        *fixtures.go[at],
        *(treated if power == "heat" else ()),
        "inventory",
        "look",
        *((f"move {fixtures.things[held]} to {here}",) if puts else ()),
        *((f"open {here}",) if is_openable and not is_open else ()),
        *(f"slice {name} with {blade}" for name in fixtures.named(things & fixtures.treatable["slice"]) if blade),
        *(f"take {name} from {here}" for name in fixtures.named(taken)),
        *(f"use {name}" for name in fixtures.named(things & fixtures.lamps)),
    )
