"""What there is in a household: things, the places they fit, and what can be done to them.

The facts are those of ALFWorld's domain (Shridhar et al., arXiv:2010.03768; its tables of what goes into what), for the
kinds used here; ``tests/environments/alfworld`` compares them with the package where it is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Power = Literal["clean", "heat", "cool", "slice"]
"""What can be done to a thing."""

_TABLES = "countertop diningtable coffeetable sidetable "
_SEATS = "armchair sofa ottoman "
_SLEEPY = _SEATS + "bed "
_DESKS = "desk dresser "
_BATH = "toilet cart "
_CABINETRY = "cabinet drawer shelf "
_COLD_OR_HOT = "fridge microwave "
_FOOD = _TABLES + "fridge garbagecan sinkbasin "
_DISH = _TABLES + _COLD_OR_HOT + _DESKS + "cabinet shelf sinkbasin "
_CUTLERY = _TABLES + "drawer sinkbasin "
_TRINKET = _TABLES + _SEATS + _DESKS + "drawer shelf "
_TISSUE = _TABLES + _BATH + _DESKS + _CABINETRY + "garbagecan "

_PLACES = {
    "alarmclock": _TABLES + _DESKS + "shelf",
    "apple": _FOOD + "microwave",
    "baseballbat": _TABLES + "bed",
    "basketball": _TABLES + _SLEEPY + _DESKS,
    "book": _TABLES + _SLEEPY + _DESKS + _CABINETRY,
    "bowl": _DISH,
    "bread": _TABLES + _COLD_OR_HOT + "garbagecan",
    "butterknife": _CUTLERY,
    "candle": _TABLES + _BATH + _DESKS + _CABINETRY,
    "cd": _TABLES + _DESKS + _CABINETRY + "garbagecan safe",
    "cellphone": _TRINKET + "bed safe",
    "cloth": _TABLES + _BATH + _SEATS + _DESKS + _CABINETRY + "bathtubbasin sinkbasin garbagecan laundryhamper",
    "creditcard": _TRINKET + "safe",
    "cup": _DISH,
    "dishsponge": _TABLES + _BATH + _CABINETRY + "bathtubbasin sinkbasin garbagecan",
    "egg": _FOOD + "microwave",
    "fork": _CUTLERY,
    "glassbottle": _DISH,
    "handtowel": _TABLES + _BATH + _CABINETRY + "bathtubbasin sinkbasin garbagecan handtowelholder",
    "kettle": _TABLES + "cabinet shelf sinkbasin stoveburner",
    "keychain": _TRINKET + "safe",
    "knife": _CUTLERY,
    "ladle": _CUTLERY + "cabinet",
    "laptop": _TABLES + _SLEEPY + _DESKS,
    "lettuce": _FOOD,
    "mug": _DISH + "coffeemachine cart",
    "newspaper": _TABLES + _SLEEPY + _DESKS + _CABINETRY + "garbagecan toilet",
    "pan": _TABLES + "cabinet fridge sinkbasin stoveburner",
    "pen": _TABLES + _DESKS + "drawer shelf garbagecan",
    "pencil": _TABLES + _DESKS + "drawer shelf garbagecan",
    "peppershaker": _TABLES + _CABINETRY,
    "pillow": _SLEEPY,
    "plate": _DISH,
    "pot": _TABLES + "cabinet shelf fridge sinkbasin stoveburner",
    "potato": _FOOD + "microwave",
    "remotecontrol": _TRINKET,
    "saltshaker": _TABLES + _CABINETRY,
    "soapbar": _TABLES + _BATH + _CABINETRY + "bathtubbasin sinkbasin garbagecan",
    "soapbottle": _TABLES + _BATH + _CABINETRY + "desk garbagecan",
    "spatula": _CUTLERY,
    "spoon": _CUTLERY,
    "spraybottle": _TISSUE,
    "statue": _TABLES + _DESKS + "cart shelf safe",
    "tennisracket": _TABLES + _DESKS + "bed",
    "tissuebox": _TISSUE + "tvstand",
    "toiletpaper": _TISSUE + "toiletpaperhanger",
    "tomato": _FOOD + "microwave",
    "towel": "towelholder",
    "vase": _TABLES + _DESKS + "cabinet cart shelf safe",
    "watch": _TABLES + _DESKS + "drawer shelf safe",
    "wateringcan": _TABLES + _DESKS + _CABINETRY,
    "winebottle": _TABLES + _DESKS + "cabinet shelf fridge garbagecan",
}

_TREATED: Mapping[Power, str] = {
    "clean": "apple bowl butterknife cloth cup dishsponge egg fork kettle knife ladle lettuce mug pan plate pot potato "
    "soapbar spatula spoon tomato",
    "heat": "apple bread cup egg mug plate potato tomato",
    "cool": "apple bowl bread cup egg lettuce mug pan plate pot potato tomato winebottle",
    "slice": "apple bread egg lettuce potato tomato",
}

LAMP = "desklamp"
"""Stays where it is, and can be used."""
LAMP_PLACES = frozenset({"desk", "dresser", "sidetable", "shelf"})
OPENABLE = frozenset({"cabinet", "drawer", "fridge", "microwave", "safe"})
APPLIANCES: Mapping[str, Power] = {"sinkbasin": "clean", "microwave": "heat", "fridge": "cool"}
SHARP = frozenset({"knife", "butterknife"})
VESSELS = frozenset({"bowl", "cup", "mug", "pan", "plate", "pot"})
"""Things that could hold others; nothing is ever in them here."""


@dataclass(frozen=True)
class Thing:
    """A kind of thing.

    Args:
        places: kinds of receptacle that it may be put into. powers: what can be done to it.
    """

    places: frozenset[str]
    powers: frozenset[Power]


THINGS: Mapping[str, Thing] = {
    name: Thing(
        places=frozenset(places.split()),
        powers=frozenset(power for power, names in _TREATED.items() if name in names.split()),
    )
    for name, places in _PLACES.items()
}
"""Every kind of thing that can be carried."""

RECEPTACLES = frozenset(place for thing in THINGS.values() for place in thing.places)
"""Every kind of place."""
