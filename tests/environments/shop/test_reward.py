"""The reward of a purchase, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from understudy.environments.shop import Goal, Product, purchase
from understudy.environments.shop.reward import noun_overlap, num_attributes, num_options, type_match

SHIRT = Product(
    asin="b1",
    name="Harth linen shirt",
    description="Made for hot days.",
    features=("Breathable fabric", "relaxed fit"),
    query="linen shirt",
    product_category="Clothing › Men › Shirts",
    prices=(24.0,),
    options={"color": ("navy stripes", "white"), "size": ("small", "large")},
    attributes=("machine wash", "long sleeve"),
)
GOAL = Goal(
    asin="b1",
    instruction="",
    name="Harth linen shirt",
    query="linen shirt",
    product_category="Clothing › Men › Shirts",
    attributes=("long sleeve", "hot days"),
    options={"color": "navy", "size": "large"},
    price_upper=30.0,
)


@pytest.mark.parametrize(
    ("chosen", "price", "score"),
    [
        (("navy stripes", "large"), 24.0, 1.0),  # 2 attributes, 2 options, the price: 5 of 5
        (("navy stripes",), 24.0, 0.8),
        ((), 24.0, 0.6),
        ((), 31.0, 0.4),
        (("white", "small"), 30.0, 0.6),  # the bound itself is allowed
    ],
)
def test_a_purchase_of_the_right_kind(chosen, price, score) -> None:
    assert purchase(SHIRT, chosen, price, GOAL).score == pytest.approx(score, abs=1e-12)


def test_its_parts() -> None:
    worth = purchase(replace(SHIRT, attributes=(), features=()), ("large",), 99.0, GOAL)
    assert (worth.attributes, worth.options, worth.price, worth.type_match) == (1, 1, False, 1.0)
    assert worth.score == pytest.approx(2 / 5)


def test_without_a_bound_every_price_will_do() -> None:
    assert purchase(SHIRT, ("navy stripes", "large"), 1e6, replace(GOAL, price_upper=None)).score == 1.0


@pytest.mark.parametrize(
    ("name", "query", "category", "expected"),
    [
        ("harth linen shirt", "x", "x", 1.0),  # 3 of 3 nouns
        ("harth mug", "x", "x", 1.0),  # 1 of 3 is more than a fifth
        ("mug", "linen shirt", GOAL.product_category, 0.0),  # no noun shared: nothing else counts
    ],
)
def test_kinds(name, query, category, expected) -> None:
    assert type_match(replace(SHIRT, name=name, query=query, product_category=category), GOAL) == expected


LONG = "one two three four five six seven eight nine ten eleven"


@pytest.mark.parametrize(
    ("name", "query", "category", "expected"),
    [
        ("one x", "q", "A › B", 0.1),  # 1 of 11 is less than a tenth, whatever the query
        ("one two x", "q", "C", 1.0),  # 2 of 11 with the same query
        ("one two x", "other", "C › B › A", 1.0),  # two categories
        ("one two x", "other", "A", 0.5),  # one category
        ("one two three", "other", "C", 1.0),  # 3 of 11 is more than a fifth
    ],
)
def test_kinds_of_long_titles(name, query, category, expected) -> None:
    goal = replace(GOAL, name=LONG, query="q", product_category="A › B")
    assert type_match(replace(SHIRT, name=name, query=query, product_category=category), goal) == expected


def test_a_wanted_title_without_a_noun_counts_as_a_fifth() -> None:
    assert noun_overlap("shirt", "for the 2") == 0.2
    assert type_match(replace(SHIRT, query="other", product_category=""), replace(GOAL, name="2")) == 0.5


def test_attributes_are_looked_for_in_every_text() -> None:
    wanted = ("machine washable", "linen", "relaxed fit", "hot days", "waterproof")
    assert [num_attributes(SHIRT, [one]) for one in wanted] == [1, 1, 1, 1, 0]


def test_options_match_by_plain_colours() -> None:
    assert num_options(["dark navy"], ["navy blue stripes"]) == 1
    assert num_options(["navy"], ["red"]) == 0
    assert num_options(["xx-large"], ["large"]) == 1  # the set of words {xx, large} holds {large}: WebShop's own laxity
    assert num_options([], ["red"]) == num_options(["red"], []) == 0
