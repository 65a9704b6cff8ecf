"""The real ALFWorld engine: our games in its form, the published games, and the differential test against it."""

from understudy.environments.alfworld.differential import WALKS, Comparison, compare
from understudy.environments.alfworld.engine import Engine, Engines
from understudy.environments.alfworld.game_file import pddl_problem, write_game
from understudy.environments.alfworld.published import published_tasks
from understudy.environments.alfworld.world import Alfworld

__all__ = [
    "WALKS",
    "Alfworld",
    "Comparison",
    "Engine",
    "Engines",
    "compare",
    "pddl_problem",
    "published_tasks",
    "write_game",
]
