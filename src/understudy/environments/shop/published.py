"""The files that WebShop's catalogue and goals are published in. Source: WebShop, arXiv:2207.01206."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.environments.shop.catalogue import Product, products_of
from understudy.environments.shop.goals import GOAL_SEED, Goal, human_goals, synthetic_goals
from understudy.errors import DataError
from understudy.written_whole import AGAIN, write_whole

PRODUCTS = ("items_shuffle.json", "items_shuffle_1000.json")
ATTRIBUTES = ("items_ins_v2.json", "items_ins_v2_1000.json")
HUMAN = ("items_human_ins.json",)


@dataclass(frozen=True, eq=False)
class Published:
    """A catalogue as it is published.

    Args:
        rows: of the products. attributes: asin -> attributes, and the wish that goals are made of.
        wishes: asin -> wishes that people wrote; empty where there are none.
    """

    rows: Sequence[Mapping]
    attributes: Mapping[str, Mapping]
    wishes: Mapping[str, Sequence[Mapping]]

    def products(self) -> list[Product]:
        """The products; raises DataError where a row cannot be used."""
        return products_of(self.rows, _lower(self.attributes))

    def goals(self, products: Sequence[Product], *, seed: int = GOAL_SEED) -> list[Goal]:
        """What people wrote, or else goals made of attributes and options.

        Raises:
            DataError: a wish lacks its words.
        """
        try:
            if self.wishes:
                return human_goals(products, _lower(self.wishes), seed=seed)
            return synthetic_goals(products, _lower(self.attributes), seed=seed)
        except (KeyError, AttributeError, TypeError) as error:
            raise DataError(
                "a wish of the catalogue cannot be used",
                got=f"{type(error).__name__}: {error}",
                expected="instruction, instruction_attributes and instruction_options",
            ) from error


def read_published(folder: Path) -> Published:
    """Read the files of a folder; those with people's wishes may be missing.

    Raises:
        DataError: a file is missing, or is no JSON of its form.
    """
    rows, attributes = _read(folder, PRODUCTS, list), _read(folder, ATTRIBUTES, dict)
    has_human = any((folder / name).is_file() for name in HUMAN)
    return Published(rows, attributes, _read(folder, HUMAN, dict) if has_human else {})


def write_published(published: Published, folder: Path) -> None:
    """Write a catalogue, so that ``read_published`` reads it."""
    files = {PRODUCTS[0]: published.rows, ATTRIBUTES[0]: published.attributes}
    files |= {HUMAN[0]: published.wishes} if published.wishes else {}
    for name, value in files.items():
        write_whole(folder / name, json.dumps(value, ensure_ascii=False), remedy=AGAIN)


def _read(folder: Path, names: Sequence[str], kind: type) -> Any:
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise DataError(
            f"the shop's folder {folder} has no {names[0]}",
            expected="WebShop's published files",
            remedy="Put them there, name another folder with environment.catalogue, or take catalogue: synthetic.",
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, kind):
        got = type(value).__name__
        raise DataError(f"{path} has another form", got=got, expected="a list" if kind is list else "an object")
    return value


def _lower(by_asin: Mapping) -> dict:
    return {str(asin).lower(): value for asin, value in by_asin.items()}
