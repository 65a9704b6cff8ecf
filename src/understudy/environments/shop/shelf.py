"""The products of a shop with the search over them: made once, shared by all episodes of a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.environments.shop.catalogue import Product
from understudy.tasks.retrieval import Bm25

MAX_RESULTS = 50
"""Products that a search shows at most. Source: WebShop, arXiv:2207.01206."""


@dataclass(frozen=True, eq=False)
class Shelf:
    """Products by number, and an index of their texts; made by ``of``."""

    products: Mapping[str, Product]
    _order: Sequence[str]
    _index: Bm25

    @classmethod
    def of(cls, products: Sequence[Product]) -> Shelf:
        """Put products on the shelf.

        Raises:
            DataError: there is none. UserMistakeError: bm25s is not installed.
        """
        by_number = {product.asin: product for product in products}
        return cls(by_number, list(by_number), Bm25.of(one.searchable for one in by_number.values()))

    def search(self, query: str) -> tuple[Product, ...]:
        """The best products for a query, best first."""
        found = self._index.top(query, limit=MAX_RESULTS)
        return tuple(self.products[self._order[one.place]] for one in found)
