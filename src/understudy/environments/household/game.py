"""One game: a goal, the places of a room, and where everything lies at the start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from understudy.environments.household.things import APPLIANCES, LAMP, OPENABLE, RECEPTACLES, THINGS, Power
from understudy.errors import DataError

TaskKind = Literal["place", "two", "examine", "clean", "heat", "cool"]
"""Put a thing somewhere, put two there, hold one under a lamp, or put one there clean, hot or cold."""
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
FIELDS = ("kind", "thing", "target", "receptacles", "things", "opened")
"""The columns of a game."""


@dataclass(frozen=True)
class Goal:
    """What is to be done.

    Args:
        kind: the sort of task. thing: the kind of thing it is about.
        target: the kind of place it goes to; the lamp for ``examine``.
    """

    kind: TaskKind
    thing: str
    target: str

    @property
    def treatment(self) -> Power | None:
        """What must be done to the thing first."""
        return self.kind if self.kind in ("clean", "heat", "cool") else None

    @property
    def sentence(self) -> str:
        """The goal in words.

        >>> Goal("heat", "apple", "fridge").sentence
        'heat a apple and put it in the fridge'
        """
        where = f"{'in' if self.target in _INSIDE else 'on'} the {self.target}"
        match self.kind:
            case "place":
                return f"put a {self.thing} {where}"
            case "two":
                return f"put two {self.thing} {where}"
            case "examine":
                return f"look at a {self.thing} under the {self.target}"
            case _:
                return f"{self.kind} a {self.thing} and put it {where}"


_INSIDE = OPENABLE | {"sinkbasin", "bathtubbasin", "garbagecan", "laundryhamper", "cart"}


@dataclass(frozen=True)
class Game:
    """A game as data. Names are a kind and a number: ``apple 1``; the numbers of a kind are 1, 2, ... without gaps.

    Args:
        goal: what is to be done. receptacles: names of all places. things: (name, the place it lies in) pairs.
        opened: places that are open at the start.
    Raises:
        DataError: a kind is unknown, a number is missing, a place does not exist, or the goal cannot be reached.
    """

    goal: Goal
    receptacles: tuple[str, ...]
    things: tuple[tuple[str, str], ...]
    opened: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_numbered(self.receptacles, RECEPTACLES, what="receptacles")
        check_numbered([name for name, _ in self.things], {*THINGS, LAMP}, what="things")
        for place in (*(place for _, place in self.things), *self.opened):
            if place not in self.receptacles:
                raise DataError("a game names a place that its room does not have", got=repr(place))
        if shut := [place for place in self.opened if kind_of(place) not in OPENABLE]:
            raise DataError("a game opens a place that cannot be opened", got=repr(shut[0]))
        self._check_goal()

    def _check_goal(self) -> None:
        goal, kinds = self.goal, Counter(kind_of(name) for name, _ in self.things)
        places = {kind_of(place) for place in self.receptacles}
        if goal.kind not in TASK_KINDS:
            raise DataError("no such sort of task", got=repr(goal.kind), expected=", ".join(TASK_KINDS))
        if goal.thing not in THINGS or kinds[goal.thing] < (2 if goal.kind == "two" else 1):
            raise DataError("a game lacks the things of its goal", got=goal.sentence)
        if goal.kind == "examine":
            reachable = goal.target == LAMP and kinds[LAMP] > 0
        else:
            reachable = goal.target in THINGS[goal.thing].places & places
        if goal.treatment is not None:
            appliance = {power: place for place, power in APPLIANCES.items()}[goal.treatment]
            reachable &= appliance in places and goal.treatment in THINGS[goal.thing].powers
        if not reachable:
            raise DataError("a game's goal cannot be reached", got=goal.sentence)

    def columns(self) -> dict[str, object]:
        """As columns of a row: text and lists of text, for any file format; ``game_from`` reads them back."""
        return {
            "kind": self.goal.kind,
            "thing": self.goal.thing,
            "target": self.goal.target,
            "receptacles": list(self.receptacles),
            "things": [f"{name} in {place}" for name, place in self.things],
            "opened": list(self.opened),
        }


def game_from(columns: Mapping[str, object]) -> Game:
    """The game that ``Game.columns`` wrote; ``opened`` may be missing.

    Raises:
        DataError: a field is missing or of another form, or the game is none that can be played.
    """
    missing = [name for name in FIELDS if columns.get(name) is None and name != "opened"]
    if missing:
        raise DataError(
            f"a household task has no {missing[0]}", got=", ".join(columns) or "no fields", expected=", ".join(FIELDS)
        )
    kind, thing, target = (str(columns[name]) for name in FIELDS[:3])
    pairs = [text.partition(" in ") for text in _texts(columns, "things")]
    if bad := [name + middle for name, middle, place in pairs if not place]:
        raise DataError("a household thing lies nowhere", got=repr(bad[0]), expected="such as 'apple 1 in fridge 1'")
    return Game(
        goal=Goal(kind, thing, target),  # type: ignore[arg-type]  # checked there
        receptacles=tuple(_texts(columns, "receptacles")),
        things=tuple((name, place) for name, _, place in pairs),
        opened=tuple(_texts(columns, "opened")),
    )


def kind_of(name: str) -> str:
    """Without its number.

    >>> kind_of("apple 2")
    'apple'
    """
    return name.partition(" ")[0]


def check_numbered(names: Sequence[str], kinds: Iterable[str], *, what: str) -> None:
    """Refuse names that are not ``KIND NUMBER`` with the numbers 1, 2, ... of every kind; raises DataError."""
    counts, known = Counter(kind_of(name) for name in names), set(kinds)
    expected = {f"{kind} {number}" for kind in counts.keys() & known for number in range(1, counts[kind] + 1)}
    if wrong := [name for name in names if name not in expected]:
        raise DataError(
            f"a name among a game's {what} is none", got=repr(wrong[0]), expected="a known kind, numbered from 1"
        )
    if len(set(names)) != len(names):
        raise DataError(f"two of a game's {what} have one name", got=", ".join(names))


def _texts(columns: Mapping[str, object], name: str) -> list[str]:
    found = columns.get(name)
    if found is None and name == "opened":
        return []
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
        raise DataError(f"{name} of a household task is no list of names", got=repr(found)[:80])
    return list(found)
