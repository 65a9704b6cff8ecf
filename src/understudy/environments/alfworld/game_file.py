"""A game of ours in the real engine's form: a PDDL problem for ALFWorld's domain, beside the package's own grammar."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from understudy.environments.household.game import Game, Goal, kind_of
from understudy.environments.household.things import APPLIANCES, LAMP, OPENABLE, SHARP, THINGS, VESSELS
from understudy.errors import UserMistakeError

_POWERS = {"clean": "cleanable", "heat": "heatable", "cool": "coolable", "slice": "sliceable"}
_STATES = {"clean": "isClean", "heat": "isHot", "cool": "isCool"}
_MIDDLE = "loc_bar_0"
MISSING = "pip install 'understudy[agents]', or name a Python that has alfworld."


def pddl_problem(game: Game) -> str:
    """The problem in PDDL: every place has a location of its own, and the agent starts at one without a place."""
    things, counts = dict(game.things), Counter(kind_of(name) for name in (*game.receptacles, *dict(game.things)))
    ids = {name: identifier(name, counts[kind_of(name)]) for name in (*game.receptacles, *things)}
    spots = {place: f"loc_bar_{number}" for number, place in enumerate(game.receptacles, start=1)}
    place_kinds = sorted({kind_of(place) for place in game.receptacles})
    thing_kinds = sorted({kind_of(name) for name in things})
    objects = {
        "agent": ["agent1"],
        "location": [_MIDDLE, *spots.values()],
        "receptacle": [ids[place] for place in game.receptacles],
        "object": [ids[name] for name in things],
        # The domain's own rules speak of the appliances and of blades, whether a room has them or not.
        "rtype": [f"{kind}type" for kind in sorted({*place_kinds, *APPLIANCES})],
        "otype": [f"{kind}type" for kind in sorted({*thing_kinds, *SHARP})],
    }
    facts = [f"atLocation agent1 {_MIDDLE}"]
    for place in game.receptacles:
        facts += [f"receptacleAtLocation {ids[place]} {spots[place]}"]
        facts += [f"receptacleType {ids[place]} {kind_of(place)}type"]
        facts += [f"openable {ids[place]}"] * (kind_of(place) in OPENABLE)
        facts += [f"opened {ids[place]}"] * (place in game.opened)
    for name, place in things.items():
        facts += [f"inReceptacle {ids[name]} {ids[place]}", f"objectAtLocation {ids[name]} {spots[place]}"]
        facts += [f"objectType {ids[name]} {kind_of(name)}type", *_abilities(kind_of(name), ids[name])]
    facts += [
        f"canContain {place}type {thing}type"
        for place in place_kinds
        for thing in thing_kinds
        if thing != LAMP and place in THINGS[thing].places
    ]
    declared = "\n".join(f"    {' '.join(names)} - {kind}" for kind, names in objects.items() if names)
    listed = "\n".join(f"    ({fact})" for fact in facts)
    return (
        f"(define (problem household)\n  (:domain alfred)\n  (:objects\n{declared})\n"
        f"  (:init\n    (= (total-cost) 0)\n{listed})\n  (:goal {goal_condition(game.goal)}))\n"
    )


def identifier(name: str, count: int) -> str:
    """The engine's identifier of one of ``count`` things of a kind.

    ALFWorld numbers identifiers in falling order, and adds ``basin`` to the word of those that hold it.

    >>> identifier("apple 1", 2), identifier("sinkbasin 1", 1)
    ('apple_bar_002', 'sink_bar_001_bar_sinkbasin')
    """
    kind, _, number = name.partition(" ")
    falling = f"{count - int(number) + 1:03}"
    if kind.endswith("basin"):
        return f"{kind.removesuffix('basin')}_bar_{falling}_bar_{kind}"
    return f"{kind}_bar_{falling}"


def goal_condition(goal: Goal) -> str:
    """The goal as a PDDL condition, with the meaning of ALFWorld's goal of that sort."""
    thing, state = f"(objectType ?o {goal.thing}type)", _STATES.get(goal.kind)
    if goal.kind == "examine":
        lit = f"(objectType ?p {LAMP}type) (toggleable ?p) (isToggled ?p) (inReceptacle ?p ?r)"
        here = "(receptacleAtLocation ?r ?l) (atLocation ?a ?l)"
        near = f"(exists (?p - object ?r - receptacle ?a - agent ?l - location) (and {lit} {here}))"
        return f"(and {near} (exists (?o - object ?a - agent) (and {thing} (holds ?a ?o))))"
    there = f"(receptacleType ?r {goal.target}type) (inReceptacle ?o ?r)"
    if goal.kind == "two":
        second = f"(objectType ?p {goal.thing}type) (inReceptacle ?p ?r) (not (= ?o ?p))"
        return f"(exists (?r - receptacle ?o - object) (and {thing} {there} (exists (?p - object) (and {second}))))"
    treated = f"({state} ?o) " if state else ""
    return f"(exists (?r - receptacle ?o - object) (and {treated}{thing} {there}))"


def write_game(game: Game, path: Path, *, walkthrough: Iterable[str] = ()) -> None:
    """Write a file that ALFWorld plays like its published ones.

    Args:
        walkthrough: actions that reach the goal.
    Raises:
        UserMistakeError: alfworld, whose domain and grammar go into the file, is not installed.
    """
    spec = find_spec("alfworld")
    if spec is None or spec.origin is None:
        raise UserMistakeError("a game for ALFWorld needs its grammar, and alfworld is not installed", remedy=MISSING)
    data = Path(spec.origin).parent / "data"
    content = {
        "pddl_domain": (data / "alfred.pddl").read_text(encoding="utf-8"),
        "grammar": (data / "alfred.twl2").read_text(encoding="utf-8").replace("UNKNOWN GOAL", game.goal.sentence),
        "pddl_problem": pddl_problem(game),
        "solvable": True,
        "walkthrough": list(walkthrough),
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _abilities(kind: str, name: str) -> list[str]:
    if kind == LAMP:
        return [f"toggleable {name}"]
    abilities = [f"{_POWERS[power]} {name}" for power in sorted(THINGS[kind].powers)]
    return ["pickupable " + name, *abilities, *([f"isReceptacleObject {name}"] if kind in VESSELS else [])]
