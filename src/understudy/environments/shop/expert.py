"""One who knows what is wanted and where it stands."""

from __future__ import annotations

from understudy.environments.shop.goals import goal_of
from understudy.environments.shop.world import Shop
from understudy.protocols import Task


def expert_actions(world: Shop, task: Task) -> list[str]:
    """Actions that buy what the goal was made of: search its title, open it, choose the options, buy.

    Where the search does not show it within fifty results, the actions end before a purchase.
    """
    goal, scene = goal_of(task), world.reset(task, 0)
    actions = [f"search[{goal.name.lower()}]"]
    scene = world.step(actions[0])
    while f"click[{goal.asin}]" not in scene.admissible:
        if "click[next >]" not in scene.admissible:
            return actions
        actions.append("click[next >]")
        scene = world.step(actions[-1])
    rest = [f"click[{value}]" for value in (goal.asin, *goal.options.values(), "buy now")]
    for action in rest:
        world.step(action)
    return actions + rest
