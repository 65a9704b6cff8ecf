"""The pages of the shop: what stands on each, and what can be done there. Source: WebShop, arXiv:2207.01206."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.environments.shop.catalogue import Product

Kind = Literal["search", "results", "item", "detail", "done"]
BACK, PREVIOUS, NEXT, BUY = "Back to Search", "< Prev", "Next >", "Buy Now"
DETAILS = ("Description", "Features", "Reviews", "Attributes")
SEARCH = "search[<your query>]"


@dataclass(frozen=True)
class Page:
    """One page.

    Args:
        kind: which of the five. texts: what is visible, in order, without the instruction. clickable: what a click
            can mean, lower case.
        products: that the page lists or shows. chosen: options chosen so far, kind -> value.
    """

    kind: Kind
    texts: tuple[str, ...]
    clickable: tuple[str, ...] = ()
    products: tuple[Product, ...] = ()
    chosen: tuple[tuple[str, str], ...] = ()

    @property
    def actions(self) -> tuple[str, ...]:
        """Everything that does something here."""
        return (*([SEARCH] if self.kind == "search" else []), *(f"click[{one}]" for one in self.clickable))


def quoted(page: Page) -> str:
    """The visible texts, each in quotes, joined by ``[SEP]``.

    >>> quoted(search_page())
    "'Search'"
    """
    return " [SEP] ".join(f"'{text}'" for text in page.texts)


def search_page() -> Page:
    """Where an episode begins."""
    return Page("search", ("Search",))


def results_page(found: Sequence[Product], *, number: int, size: int) -> Page:
    """One page of what a search found.

    Args:
        number: from 1. size: products a page.
    """
    listed = tuple(found[(number - 1) * size : number * size])
    turning = [NEXT] if number * size < len(found) else []
    turning = [PREVIOUS, *turning] if number > 1 else turning
    told = [text for product in listed for text in (product.asin, product.name, product.price_tag)]
    texts = (BACK, f"Page {number} (Total results: {len(found)})", *turning, *told)
    return Page("results", texts, _lower([BACK, *turning, *(product.asin for product in listed)]), listed)


def item_page(product: Product, chosen: Mapping[str, str]) -> Page:
    """A product with its options."""
    values = [value for kind in product.options.values() for value in kind]
    options = [text for kind, given in product.options.items() for text in (kind, *given)]
    about = (product.name, f"Price: {product.price_tag}", "Rating: N.A.")
    texts = (BACK, PREVIOUS, *options, *about, *DETAILS, BUY)
    return Page("item", texts, _lower([BACK, PREVIOUS, *DETAILS, BUY, *values]), (product,), tuple(chosen.items()))


def detail_page(product: Product, detail: str, chosen: Mapping[str, str]) -> Page:
    """One of a product's pages of text.

    Args:
        detail: one of ``DETAILS``, in whatever case.
    """
    told = {
        "description": (product.description,),
        "features": product.features,
        "reviews": (),  # the published rows have none
        "attributes": (*product.attributes, product.query, product.product_category),
    }[detail.lower()]
    return Page("detail", (BACK, PREVIOUS, *told), _lower([BACK, PREVIOUS]), (product,), tuple(chosen.items()))


def done_page() -> Page:
    """After a purchase."""
    return Page("done", ("Thank you for shopping with us!",))


def _lower(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(text.split()).lower() for text in texts))
