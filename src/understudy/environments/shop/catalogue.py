"""Products as a shop knows them, from rows of WebShop's published form. Source: WebShop, arXiv:2207.01206."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from understudy.errors import DataError

DEFAULT_PRICE = 100.0
"""Of a product whose row names none; WebShop's."""
_ASIN_LENGTH = 10
_PRICE = re.compile(r"\$\s*([\d,]*\.?\d+)")


@dataclass(frozen=True)
class Product:
    """One product.

    Args:
        asin: its number, unique, lower case. name: its title. description, features: texts of its pages.
        query, category: what it was found by, and its department. product_category: a path, `` › `` between its parts.
        prices: one, or the lowest and the highest. options: kind -> values, all lower case.
        attributes: of which a goal asks some.
    """

    asin: str
    name: str
    description: str = ""
    features: tuple[str, ...] = ()
    query: str = ""
    category: str = ""
    product_category: str = ""
    prices: tuple[float, ...] = (DEFAULT_PRICE,)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()

    @property
    def price_tag(self) -> str:
        """As a page shows it: ``$5.0`` or ``$5.0 to $8.0``."""
        return " to ".join(f"${price}" for price in self.prices)

    @property
    def searchable(self) -> str:
        """What the search looks at: title, description, first feature and options."""
        values = [value for kind in self.options.values() for value in kind]
        return " ".join([self.name, self.description, *self.features[:1], *values])


def products_of(rows: Iterable[Mapping], attributes: Mapping[str, Mapping]) -> list[Product]:
    """Products of a catalogue's rows; a number that comes again, or is none of a product's, is left out.

    Args:
        rows: with ``asin``, ``name``, ``small_description``, ``full_description``, ``category``, ``query``,
            ``product_category``, ``pricing`` and ``customization_options``.
        attributes: asin, lower case -> ``attributes``.
    Raises:
        DataError: a row lacks a field or has one of the wrong kind; or there is no row.
    """
    found: dict[str, Product] = {}
    for number, row in enumerate(rows, start=1):
        product = _product(row, attributes, where=f"product {number}")
        if product.asin != "nan" and len(product.asin) <= _ASIN_LENGTH:
            found.setdefault(product.asin, product)
    if not found:
        raise DataError("the catalogue holds no product", expected="at least one")
    return list(found.values())


def _product(row: Mapping, attributes: Mapping[str, Mapping], *, where: str) -> Product:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} of the catalogue is no object", got=repr(row)[:80])
    asin, name = _text(row, "asin", where).lower(), _text(row, "name", where)
    listed = row.get("attributes") or attributes.get(asin, {}).get("attributes") or ()
    features = row.get("small_description") or ()
    return Product(
        asin=asin,
        name=name,
        description=_plain(row.get("full_description")),
        features=tuple(_plain(one) for one in ([features] if isinstance(features, str) else features)),
        query=_text(row, "query", where).lower(),
        category=_text(row, "category", where),
        product_category=_text(row, "product_category", where),
        prices=_prices(row.get("pricing")),
        options=_options(row.get("customization_options"), where),
        attributes=tuple(_plain(one).lower() for one in listed),
    )


def _text(row: Mapping, column: str, where: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or (column in ("asin", "name") and not value.strip()):
        raise DataError(f"{where} of the catalogue has no {column!r}", got=repr(value)[:80], expected="text")
    return _plain(value)


def _plain(value: object) -> str:
    return " ".join(str(value or "").split())


def _prices(pricing: object) -> tuple[float, ...]:
    found = [float(price.replace(",", "")) for price in _PRICE.findall(str(pricing or ""))]
    return tuple(found[:2]) or (DEFAULT_PRICE,)


def _options(given: object, where: str) -> dict[str, tuple[str, ...]]:
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(f"{where} of the catalogue has no 'customization_options'", got=repr(given)[:80])
    return {_plain(kind).lower(): _values(values, where) for kind, values in given.items() if values}


def _values(values: Sequence, where: str) -> tuple[str, ...]:
    try:
        return tuple(_plain(_plain(one["value"]).replace("/", " | ")).lower() for one in values)
    except (KeyError, TypeError) as error:
        what = f"{where} of the catalogue has an option without a value"
        raise DataError(what, got=repr(values)[:80], expected='[{"value": ...}, ...]') from error
