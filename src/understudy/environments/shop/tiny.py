"""A shop of some dozens of words: four stuffs, six things, two of each at different prices, four colours.

``search wool hat`` shows three products of a page; of the two that fit, one may be too dear. Four actions buy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Literal

from understudy.environments.shop.catalogue import Product
from understudy.environments.shop.goals import Goal, goal_of, price_bound, task_of
from understudy.environments.shop.shelf import Shelf
from understudy.environments.shop.words import tiny_page
from understudy.environments.shop.world import Shop
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.randomness import derived_seed, permutation

Split = Literal["train", "eval"]
TINY_DOMAIN = "tiny-shop"
STUFFS = ("wool", "silk", "linen", "felt")
THINGS = ("hat", "scarf", "shirt", "coat", "glove", "sock")
SHADES = ("red", "blue", "green", "pink")
PRICES = (8, 18, 28, 38)
TINY_PAGE_SIZE = 3
_NUM_EVAL = 48


@cache
def tiny_products() -> tuple[Product, ...]:
    """All 48: each stuff and thing twice, at two prices that are drawn once."""
    kinds = [(stuff, thing) for stuff in STUFFS for thing in THINGS]
    order = iter(permutation(2 * len(kinds), seed=0, purpose="tiny-shop/number"))
    found = []
    for number, (stuff, thing) in enumerate(kinds):
        turned = permutation(len(PRICES), seed=0, purpose="tiny-shop/price", epoch=number)
        found += [_product(stuff, thing, PRICES[place], next(order)) for place in turned[:2]]
    return tuple(found)


@cache
def tiny_shelf() -> Shelf:
    """Finds them; one for the process."""
    return Shelf.of(tiny_products())


def tiny_shop() -> Shop:
    """A fresh shop in few words."""
    return Shop(tiny_shelf(), page_size=TINY_PAGE_SIZE, show=tiny_page)


@cache
def tiny_goals() -> tuple[Goal, ...]:
    """One for each product and colour, in an order that is drawn once: the last 48 are of ``eval``."""
    wanted = [(product, shade) for product in tiny_products() for shade in SHADES]
    goals = [_goal(product, shade, number) for number, (product, shade) in enumerate(wanted)]
    return tuple(goals[place] for place in permutation(len(goals), seed=0, purpose="tiny-shop/goals"))


def tiny_shop_tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """Goals drawn from the split.

    Raises:
        DataError: ``count`` is less than 1, or there is no such split.
    """
    if split not in ("train", "eval") or count < 1:
        expected = "train or eval, and at least 1"
        raise DataError("no such tiny goals", got=f"split {split!r}, count {count}", expected=expected)
    goals = tiny_goals()[-_NUM_EVAL:] if split == "eval" else tiny_goals()[:-_NUM_EVAL]
    draws = [derived_seed(seed=seed, step=step, purpose=f"tiny-shop/{split}") for step in range(count)]
    return [
        task_of(goals[draw % len(goals)], problem=f"{TINY_DOMAIN}-{number}", domain=TINY_DOMAIN)
        for number, draw in enumerate(draws)
    ]


def tiny_expert(task: Task, world: Shop | None = None) -> list[str]:
    """The four actions of one who looks at the prices; plays them in ``world``."""
    goal, shop = goal_of(task), world or tiny_shop()
    stuff, thing = goal.name.split()
    fitting = [one for one in tiny_products() if one.name == goal.name and one.prices[0] <= _bound(goal)]
    shop.reset(task, 0)
    listed = shop.step(f"search[{stuff} {thing}]").admissible
    chosen = next(one for action in listed for one in fitting if action == f"click[{one.asin}]")
    (shade,) = goal.options.values()
    actions = [f"search[{stuff} {thing}]", f"click[{chosen.asin}]", f"click[{shade}]", "click[buy now]"]
    for action in actions[1:]:
        shop.step(action)
    return actions


def tiny_vocabulary() -> tuple[str, ...]:
    """Every word that prompts and actions of the tiny shop hold."""
    numbers = [str(10 * tens) for tens in range(1, 10)]
    said = (
        "page found has want under : search click back to buy now < prev next > description features reviews attributes"
    )
    said += " results item detail done Nothing happens: no action could be read. results"
    words: Sequence[str] = (*STUFFS, *THINGS, *SHADES, *map(str, PRICES), *numbers, *said.split())
    return tuple(dict.fromkeys([*words, *(one.asin for one in tiny_products())]))


def _bound(goal: Goal) -> float:
    return float("inf") if goal.price_upper is None else goal.price_upper


def _product(stuff: str, thing: str, price: int, number: int) -> Product:
    return Product(
        asin=f"b{number}",
        name=f"{stuff} {thing}",
        query=thing,
        category="clothes",
        product_category=f"clothes › {thing}",
        prices=(float(price),),
        options={"color": SHADES},
        attributes=(stuff,),
    )


def _goal(product: Product, shade: str, number: int) -> Goal:
    bound = price_bound(product.prices[0], seed=0, number=number)
    stuff, _ = product.name.split()
    plain = Goal(product.asin, "", product.name, product.query, product.product_category, (stuff,), {"color": shade})
    return replace(plain, instruction=f"{shade} {product.name} under {bound:.0f}", price_upper=bound)
