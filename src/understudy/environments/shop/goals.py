"""What a customer wants: goals, the words they are told in, and the split of WebShop. Source: arXiv:2207.01206."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from understudy.environments.shop.catalogue import Product
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.randomness import derived_seed

Split = Literal["train", "valid", "test"]
GOAL = "goal"
"""Column of a task."""
DOMAIN = "webshop"
NUM_TEST, NUM_VALID = 500, 128
"""Goals 0 to 499 are tested on; of the others, which peers train on, the first 128 choose checkpoints."""
GOAL_SEED = 233
"""Of the shuffle of the published goals. Source: WebShop, arXiv:2207.01206, its published server."""
_BOUNDS = [10.0 * tens for tens in range(1, 100)]
_CHOICES = 4  # multiples of ten above the price of which two are drawn; the larger is the bound


@dataclass(frozen=True)
class Goal:
    """One wish.

    Args:
        asin: of a product that fulfils it. instruction: the wish in words.
        name, query, product_category: of that product. attributes: asked for.
        options: kind -> value asked for. price_upper: bound on the price; None where there is none.
    """

    asin: str
    instruction: str
    name: str
    query: str
    product_category: str
    attributes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    price_upper: float | None = None


def price_of(product: Product) -> float:
    """What is paid: the price, or one between the lowest and the highest, drawn once for the product."""
    low, high = min(product.prices), max(product.prices)
    if low == high:
        return low
    return random.Random(derived_seed(seed=0, step=0, purpose=f"shop/price/{product.asin}")).uniform(low, high)


def price_bound(price: float, *, seed: int, number: int) -> float | None:
    """The larger of two different bounds, drawn from the next four multiples of ten above the price.

    None where fewer than two multiples below 1,000 are above it.
    """
    above = [bound for bound in _BOUNDS if bound > price][:_CHOICES]
    if len(above) < 2:
        return None
    return max(random.Random(derived_seed(seed=seed, step=number, purpose="shop/bound")).sample(above, 2))


def synthetic_goals(products: Sequence[Product], wishes: Mapping[str, Mapping], *, seed: int) -> list[Goal]:
    """One goal for each combination of a product's options.

    Args:
        wishes: asin -> ``instruction``, ``instruction_attributes``; a product without one gives no goal.
    """
    goals: list[Goal] = []
    for product in products:
        wish = wishes.get(product.asin)
        if wish is None or not wish.get("instruction") or not wish.get("instruction_attributes"):
            continue
        kinds = sorted(product.options)
        for values in itertools.product(*(product.options[kind] for kind in kinds)):
            options = dict(zip(kinds, values, strict=True))
            told = ", and ".join(f"{kind}: {value}" for kind, value in options.items())
            words = str(wish["instruction"]) + (f" with {told}" if told else "")
            goals.append(_goal(product, words, wish["instruction_attributes"], options, seed=seed, number=len(goals)))
    return goals


def human_goals(products: Sequence[Product], wishes: Mapping[str, Sequence[Mapping]], *, seed: int) -> list[Goal]:
    """The goals that people wrote down; one without an attribute is left out.

    Args:
        wishes: asin -> rows of ``instruction``, ``instruction_attributes`` and ``instruction_options``.
    """
    goals: list[Goal] = []
    for product in products:
        for wish in wishes.get(product.asin, ()):
            if not wish.get("instruction_attributes"):
                continue
            given = wish.get("instruction_options") or {}
            options = given if isinstance(given, Mapping) else {str(n): value for n, value in enumerate(given)}
            words = str(wish["instruction"]).strip(".")
            goals.append(_goal(product, words, wish["instruction_attributes"], options, seed=seed, number=len(goals)))
    return goals


def goal_tasks(
    goals: Sequence[Goal], split: Split, *, seed: int = GOAL_SEED, num_test: int = NUM_TEST, num_valid: int = NUM_VALID
) -> list[Task]:
    """The tasks of a split, after one shuffle of all goals: the published one, with the published seed.

    Raises:
        DataError: no goal is left for the split.
    """
    order = list(range(len(goals)))
    random.Random(seed).shuffle(order)
    cuts = {"test": (0, num_test), "valid": (num_test, num_test + num_valid), "train": (num_test + num_valid, None)}
    chosen = order[slice(*cuts[split])]
    if not chosen:
        raise DataError(
            f"no goal for split {split!r}", got=f"{len(goals)} goals", expected=f"more than {cuts[split][0]}"
        )
    return [
        task_of(goals[number], problem=f"goal-{place}") for place, number in enumerate(chosen, start=cuts[split][0])
    ]


def task_of(goal: Goal, *, problem: str, domain: str = DOMAIN) -> Task:
    """A task for the shop: the goal stands in its column ``goal``."""
    return Task(problem, goal.instruction, {GOAL: asdict(goal)}, domain=domain)


def goal_of(task: Task) -> Goal:
    """The goal of a task.

    Raises:
        DataError: it has none, or one that lacks a field.
    """
    given = task.columns.get(GOAL)
    try:
        fields = dict(given)  # type: ignore[call-overload]
        fields["attributes"] = tuple(str(one) for one in fields["attributes"])
        fields["options"] = {str(kind): str(value) for kind, value in dict(fields["options"]).items()}
        bound = fields.get("price_upper")
        fields["price_upper"] = None if bound is None else float(bound)
        goal = Goal(**fields)
    except (TypeError, ValueError, KeyError) as error:
        expected = ", ".join(Goal.__dataclass_fields__)
        what = f"problem {task.problem} has no {GOAL!r} that can be used"
        raise DataError(what, got=repr(given)[:80], expected=f"fields {expected}") from error
    return goal


def _goal(
    product: Product, words: str, attributes: Sequence[str], options: Mapping[str, str], *, seed: int, number: int
) -> Goal:
    bound = price_bound(price_of(product), seed=seed, number=number)
    told = "" if bound is None else f", and price lower than {bound:.2f} dollars"
    return Goal(
        asin=product.asin,
        instruction=words + told,
        name=product.name,
        query=product.query,
        product_category=product.product_category,
        attributes=tuple(str(one).lower() for one in attributes),
        options={str(kind).lower(): str(value).lower() for kind, value in options.items()},
        price_upper=bound,
    )
