"""Small games made by hand."""

from __future__ import annotations

from understudy.environments.household import Game, Goal

KITCHEN = (
    "cabinet 1",
    "countertop 1",
    "fridge 1",
    "microwave 1",
    "sinkbasin 1",
    "drawer 1",
)
HEAT = Game(
    goal=Goal("heat", "apple", "fridge"),
    receptacles=KITCHEN,
    things=(
        ("apple 1", "countertop 1"),
        ("apple 2", "fridge 1"),
        ("knife 1", "countertop 1"),
        ("mug 1", "cabinet 1"),
    ),
    opened=("cabinet 1",),
)
STUDY = Game(
    goal=Goal("examine", "book", "desklamp"),
    receptacles=("bed 1", "desk 1", "shelf 1"),
    things=(("book 1", "bed 1"), ("desklamp 1", "desk 1"), ("pen 1", "shelf 1")),
)
