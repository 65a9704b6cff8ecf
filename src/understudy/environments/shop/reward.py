"""WebShop's reward for a purchase. Source: WebShop, arXiv:2207.01206, its published reward."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from understudy.environments.shop.catalogue import Product
from understudy.environments.shop.colours import plain_colour
from understudy.environments.shop.goals import Goal
from understudy.environments.shop.similarity import matches

_WORD = re.compile(r"[a-z][a-z'-]*")
_SMALL_WORDS = """
a an the and or of for with without in on to by from at as is are your our my this that it its up per more most very
not no new small large big great perfect easy soft long short high low
"""
_NO_NOUNS = frozenset(_SMALL_WORDS.split())
_TOO_LITTLE, _LITTLE = 0.1, 0.2
_NO_NOUN_IN_GOAL = 0.2
_CATEGORIES_SHARED = 2


@dataclass(frozen=True)
class Purchase:
    """What a purchase was worth.

    Args:
        score: 0 to 1. type_match: how near the product's kind is to the one wanted: 0, 0.1, 0.5 or 1.
        attributes, options: how many of those asked for it has. price: whether it costs no more than the bound.
    """

    score: float
    type_match: float
    attributes: int
    options: int
    price: bool


def purchase(product: Product, chosen: Collection[str], price: float, goal: Goal) -> Purchase:
    """``type_match * (attributes + options + price) / (attributes asked + options asked + 1)``.

    Args:
        chosen: values of the options that were chosen. price: what is paid, in dollars.
    """
    kind = type_match(product, goal)
    attributes = num_attributes(product, goal.attributes)
    options = num_options(chosen, goal.options.values())
    cheap = goal.price_upper is None or price <= goal.price_upper
    asked = len(goal.attributes) + len(goal.options) + 1
    return Purchase(kind * (attributes + options + cheap) / asked, kind, attributes, options, cheap)


def type_match(product: Product, goal: Goal) -> float:
    """How near the product's kind is to the one wanted.

    0 where the titles share no noun, 0.1 where they share less than a tenth of the goal's. Else 1 where the query is
    the same, two categories are shared, or more than a fifth of the goal's nouns; else 0.5.
    """
    overlap = noun_overlap(product.name, goal.name)
    if overlap < _TOO_LITTLE:
        return 0.1 if overlap else 0.0
    shared = _categories(product.product_category) & _categories(goal.product_category)
    near = product.query == goal.query or len(shared) >= _CATEGORIES_SHARED or overlap > _LITTLE
    return 1.0 if near else 0.5


def noun_overlap(title: str, wanted: str) -> float:
    """The share of the wanted title's nouns that the title holds; 0.2 where it has no noun.

    WebShop asks a tagger of parts of speech. Ours takes every word for a noun that is no number and not among the
    commonest small words, so that nothing has to be downloaded.

    >>> noun_overlap("Lamp for the Desk", "desk lamp with 2 bulbs")
    0.6666666666666666
    """
    nouns = _nouns(wanted)
    return len(nouns & _nouns(title)) / len(nouns) if nouns else _NO_NOUN_IN_GOAL


def num_attributes(product: Product, wanted: Iterable[str]) -> int:
    """How many of the attributes wanted are alike to one of the product's, or stand in one of its texts."""
    texts = [product.name.lower(), " ".join(product.features).lower(), product.description.lower()]
    return sum(
        any(matches(own, one) for own in product.attributes) or any(one in text for text in texts) for one in wanted
    )


def num_options(chosen: Iterable[str], wanted: Iterable[str]) -> int:
    """How many of the options wanted are alike to one chosen, colours by their plain names."""
    plain = [plain_colour(one) for one in chosen]
    return sum(any(matches(one, plain_colour(want)) for one in plain) for want in wanted)


def _categories(path: str) -> set[str]:
    return {part.strip() for part in path.split("›")}


def _nouns(title: str) -> set[str]:
    return {word for word in _WORD.findall(title.lower()) if word not in _NO_NOUNS}
