"""Rooms: how many places of each kind they have, and what lies about in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from understudy.environments.household.game import TaskKind

RoomKind = Literal["kitchen", "livingroom", "bedroom", "bathroom", "tiny"]

NUM_LAYOUTS = 30
"""Of each kind of room; as many as ALFRED has floor plans of each."""
NUM_SEEN = 24
"""The first so many layouts are for training, the others for games in unseen rooms."""


@dataclass(frozen=True)
class Room:
    """A kind of room.

    Args:
        places: kind of place -> fewest and most. things: kinds that lie about. clutter: fewest and most of them in
            one game. tasks: what can be asked here.
    """

    places: Mapping[str, tuple[int, int]]
    things: tuple[str, ...]
    clutter: tuple[int, int]
    tasks: tuple[TaskKind, ...]


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


ROOMS: Mapping[RoomKind, Room] = {
    "kitchen": Room(
        places={
            "cabinet": (4, 9),
            "coffeemachine": (1, 1),
            "countertop": (1, 3),
            "diningtable": (0, 1),
            "drawer": (2, 6),
            "fridge": (1, 1),
            "garbagecan": (1, 1),
            "microwave": (1, 1),
            "shelf": (0, 3),
            "sinkbasin": (1, 1),
            "stoveburner": (2, 4),
        },
        things=_names(
            "apple bowl bread butterknife cup dishsponge egg fork glassbottle kettle knife ladle lettuce mug pan "
            "peppershaker plate pot potato saltshaker soapbottle spatula spoon tomato winebottle"
        ),
        clutter=(10, 18),
        tasks=("place", "two", "clean", "heat", "cool"),
    ),
    "livingroom": Room(
        places={
            "armchair": (1, 2),
            "cabinet": (0, 4),
            "coffeetable": (1, 1),
            "drawer": (1, 5),
            "dresser": (0, 1),
            "garbagecan": (1, 1),
            "ottoman": (0, 1),
            "safe": (0, 1),
            "shelf": (0, 3),
            "sidetable": (1, 2),
            "sofa": (1, 1),
            "tvstand": (0, 1),
        },
        things=_names(
            "book bowl candle cellphone creditcard keychain laptop newspaper pillow plate remotecontrol statue "
            "tissuebox vase watch wateringcan"
        ),
        clutter=(7, 13),
        tasks=("place", "two", "examine"),
    ),
    "bedroom": Room(
        places={
            "armchair": (0, 1),
            "bed": (1, 1),
            "desk": (1, 2),
            "drawer": (2, 6),
            "dresser": (0, 1),
            "garbagecan": (1, 1),
            "laundryhamper": (0, 1),
            "safe": (0, 1),
            "shelf": (1, 4),
            "sidetable": (1, 2),
        },
        things=_names(
            "alarmclock baseballbat basketball book bowl cd cellphone cloth creditcard keychain laptop mug pen pencil "
            "pillow statue tennisracket tissuebox vase watch"
        ),
        clutter=(7, 13),
        tasks=("place", "two", "examine"),
    ),
    "bathroom": Room(
        places={
            "bathtubbasin": (0, 1),
            "cabinet": (1, 4),
            "cart": (0, 1),
            "countertop": (1, 1),
            "drawer": (0, 4),
            "garbagecan": (1, 1),
            "handtowelholder": (1, 2),
            "shelf": (0, 2),
            "sinkbasin": (1, 2),
            "toilet": (1, 1),
            "toiletpaperhanger": (1, 1),
            "towelholder": (0, 1),
        },
        things=_names(
            "candle cloth dishsponge handtowel newspaper soapbar soapbottle spraybottle tissuebox toiletpaper towel"
        ),
        clutter=(6, 10),
        tasks=("place", "two", "clean"),
    ),
    "tiny": Room(
        places=dict.fromkeys(
            ("cabinet", "countertop", "diningtable", "drawer", "fridge", "microwave", "shelf", "sinkbasin"), (1, 1)
        ),
        things=_names("apple egg fork mug plate potato spoon tomato"),
        clutter=(3, 4),
        tasks=("place", "clean", "heat", "cool", "two"),
    ),
}


def layout(room: RoomKind, number: int) -> tuple[str, ...]:
    """Names of the places of one room; the same number gives the same room everywhere."""
    chance = Random(f"household/{room}/{number}")
    return tuple(
        f"{kind} {index}"
        for kind, (fewest, most) in ROOMS[room].places.items()
        for index in range(1, chance.randint(fewest, most) + 1)
    )


def layouts(*, unseen: bool) -> range:
    """Numbers of the layouts kept for training, or for games in unseen rooms."""
    return range(NUM_SEEN, NUM_LAYOUTS) if unseen else range(NUM_SEEN)
