"""Where agents are compared: who teaches whom in the tiny house, for how long, and on which games."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from understudy.testbed.tiny_household import DATASET, MAX_COMPLETION_TOKENS


@dataclass(frozen=True)
class House:
    """The budget of every contender.

    Args:
        student: the start, the same for everybody. teachers: by the name that contenders call them.
        prompts, generations: games of a step and attempts at each. max_turns: of an episode, also when examined.
        learning_rate: where none is stored. rates: the grid of ``--tuned``.
    """

    student: str
    teachers: Mapping[str, str]
    name: str = "agents"
    dataset: str = DATASET
    prompts: int = 12
    generations: int = 4
    max_turns: int = 14
    max_completion_length: int = MAX_COMPLETION_TOKENS
    learning_rate: float = 1e-3
    rates: tuple[float, ...] = (3e-4, 1e-3)


HOUSE = House(
    student="testbed/household-tiny-weak-student",
    teachers={"recovery": "testbed/household-tiny-teacher", "clean": "testbed/household-tiny-clean-teacher"},
)

UNSCHOOLED = replace(HOUSE, student="testbed/household-tiny-student")
"""Of ``--drift``: a student that left school early, and has gaps where the other one has a habit."""


@dataclass(frozen=True)
class Scale:
    """How large a comparison of agents is.

    Args:
        steps: of each run. seeds: runs of each contender, seeds 0, 1, ... games: unseen ones that everybody plays at
            the end. validation_games: others, played on the way; the best checkpoint and learning rates are chosen by
            them. validate_every: steps between those. rollouts_every: steps between the rollouts that are kept.
    """

    steps: int = 20
    seeds: int = 5
    games: int = 200
    validation_games: int = 50
    validate_every: int = 5
    rollouts_every: int = 4


QUICK = Scale(steps=8, seeds=2, games=100, validation_games=40, validate_every=4)
"""Of ``--quick``: a look."""


@dataclass(frozen=True)
class Definition:
    """What two sessions of one comparison must agree on; contenders and seeds may be added."""

    house: House
    rates: str
    steps: int
    games: int
    validation_games: int
    validate_every: int
    rollouts_every: int
    models: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """The record in JSON's types."""
        house = {**asdict(self.house), "rates": list(self.house.rates)}
        return {**asdict(self), "house": house}
