"""A made-up catalogue in the published form: as many products as one likes, the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

from understudy.environments.shop.published import Published
from understudy.errors import DataError
from understudy.randomness import derived_seed

_MAKERS = ("Arbour", "Brindle", "Corvane", "Dunmore", "Elstow", "Farrow", "Glenby", "Harth", "Inverley", "Jessop")
_SHADES = ("black", "white", "navy", "red", "olive", "beige", "pink", "teal", "gold", "brown")
_SIZES = ("small", "medium", "large", "x-large")
_WISH = "I am looking for a {attributes} {thing}"

# department -> (things, attributes, whether they come in sizes)
_DEPARTMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    "fashion": (
        ("hooded jacket", "linen shirt", "rain coat", "wool sweater", "running shorts", "pleated skirt"),
        ("machine washable", "slim fit", "long sleeve", "quick drying", "water resistant", "elastic waist"),
        True,
    ),
    "electronics": (
        ("bluetooth speaker", "tablet stand", "hdmi cable", "wall charger", "phone case", "desk fan"),
        ("fast charging", "high definition", "easy install", "plug play", "wireless", "heavy duty"),
        False,
    ),
    "garden": (
        ("floor lamp", "storage bench", "area rug", "bar stool", "wall mirror", "throw pillow"),
        ("solid wood", "easy assemble", "space saving", "spot clean", "mid century", "stainless steel"),
        False,
    ),
    "grocery": (
        ("trail mix", "green tea", "pasta sauce", "protein bar", "dried mango", "almond butter"),
        ("gluten free", "non gmo", "low sodium", "dairy free", "individually wrapped", "certified organic"),
        False,
    ),
    "beauty": (
        ("hand cream", "hair brush", "face serum", "lip balm", "nail polish", "body wash"),
        ("cruelty free", "paraben free", "long lasting", "fragrance free", "sensitive skin", "travel size"),
        False,
    ),
}


def synthetic_catalogue(num_products: int, *, seed: int = 0) -> Published:
    """Products of five departments, each with one or two attributes that a goal asks, colours, and sizes for clothes.

    Raises:
        DataError: ``num_products`` is less than 1.
    """
    if num_products < 1:
        raise DataError("a catalogue of no products", got=num_products, expected="at least 1")
    made = [_product(number, seed) for number in range(num_products)]
    return Published([row for row, _ in made], {row["asin"]: wish for row, wish in made}, {})


def _product(number: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    draw = random.Random(derived_seed(seed=seed, step=number, purpose="shop/product"))
    department = draw.choice(list(_DEPARTMENTS))
    things, qualities, sized = _DEPARTMENTS[department]
    thing, maker = draw.choice(things), draw.choice(_MAKERS)
    attributes = draw.sample(qualities, 3)
    asked = attributes[: draw.choice((1, 2))]
    model = f"{draw.choice('ABCDEFGHKLMNPRST')}{number:05d}"
    row = {
        "asin": f"B{number:09d}",
        "name": f"{maker} {model} {thing.title()}, {attributes[0].title()}",
        "small_description": [f"This {thing} is {quality}." for quality in attributes],
        "full_description": f"A {thing} by {maker}: {', '.join(attributes[1:])}.",
        "category": department,
        "query": thing,
        "product_category": f"{department.title()} › {thing.split()[-1].title()}s › {thing.title()}s",
        "pricing": f"${draw.randrange(400, 12_000) / 100:.2f}",
        "customization_options": _options(draw, sized=sized),
        "images": [],
    }
    words = _WISH.format(attributes=" and ".join(asked), thing=thing)
    return row, {"attributes": attributes, "instruction": words, "instruction_attributes": asked}


def _options(draw: random.Random, *, sized: bool) -> dict[str, list[dict[str, str]]]:
    options = {"color": [{"value": shade} for shade in draw.sample(_SHADES, 3)]}
    return options | ({"size": [{"value": size} for size in _SIZES[: draw.choice((3, 4))]]} if sized else {})
