"""The shop of some dozens of words."""

from __future__ import annotations

import pytest

from understudy.environments.agents import Agent, Manner
from understudy.environments.shop import (
    goal_of,
    spoken,
    tiny_expert,
    tiny_reply,
    tiny_shop,
    tiny_shop_tasks,
    tiny_vocabulary,
    tiny_words,
)
from understudy.environments.shop.tiny import tiny_goals, tiny_products
from understudy.errors import DataError

MANNER = Manner(words=tiny_words, read=tiny_reply, history=0)


def test_the_expert_buys_in_four_actions_of_known_words() -> None:
    known, agent = set(tiny_vocabulary()), Agent(tiny_shop(), MANNER)
    assert len(known) < 120
    for split in ("train", "eval"):
        for task in tiny_shop_tasks(split, 150):
            seen = agent.reset(task, 0)
            for action in tiny_expert(task):
                assert {*str(seen.prompt).split(), *spoken(action).split()} <= known
                assert len(str(seen.prompt).split()) < 32
                seen = agent.step(spoken(action))
            assert seen.reward == 10.0, task


def test_pages_by_hand() -> None:
    task = next(task for task in tiny_shop_tasks("train", 50) if "under 60" in str(task.prompt))
    agent, (search, opened, shade, _) = Agent(tiny_shop(), MANNER), map(spoken, tiny_expert(task))
    goal = goal_of(task)
    assert agent.reset(task, 0).prompt == f"search want {task.prompt} :"
    results = str(agent.step(search).prompt)
    assert results.startswith("found b") and results.count(goal.name) == 3 and results.endswith(f"want {task.prompt} :")
    assert "has" not in str(agent.step(opened).prompt).split()
    assert f" has {shade.split()[1]} want " in str(agent.step(shade).prompt)


def test_some_goals_rule_the_dearer_one_out() -> None:
    prices = {product.name: [] for product in tiny_products()}
    for product in tiny_products():
        prices[product.name].append(product.prices[0])
    assert all(len(set(two)) == 2 for two in prices.values())
    dear = sum(max(prices[goal.name]) > (goal.price_upper or 1e9) for goal in tiny_goals())
    assert 10 < dear < len(tiny_goals()) / 2


def test_no_wish_is_in_both_splits() -> None:
    wishes = [
        {(goal_of(t).asin, *goal_of(t).options.values()) for t in tiny_shop_tasks(split, 3000)}
        for split in ("train", "eval")
    ]
    assert (len(wishes[0]), len(wishes[1]), wishes[0] & wishes[1]) == (144, 48, set())


@pytest.mark.parametrize(("split", "count"), [("train", 0), ("test", 3)])
def test_no_goals_are_the_users_mistake(split, count) -> None:
    with pytest.raises(DataError, match="no such tiny goals"):
        tiny_shop_tasks(split, count)
