"""A household to put in order: ALFWorld's domain in plain Python, with games, an expert, and its demonstrations."""

from understudy.environments.household.demonstrations import Demonstration, Move, demonstrate
from understudy.environments.household.expert import next_action
from understudy.environments.household.game import TASK_KINDS, Game, Goal, TaskKind, game_from
from understudy.environments.household.manners import Size, manner
from understudy.environments.household.tasks import (
    Split,
    load_tasks,
    save_tasks,
    task_of,
    tasks,
    tiny_household_tasks,
)
from understudy.environments.household.world import Household

__all__ = [
    "TASK_KINDS",
    "Demonstration",
    "Game",
    "Goal",
    "Household",
    "Move",
    "Size",
    "Split",
    "TaskKind",
    "demonstrate",
    "game_from",
    "load_tasks",
    "manner",
    "next_action",
    "save_tasks",
    "task_of",
    "tasks",
    "tiny_household_tasks",
]
