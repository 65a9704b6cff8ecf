"""A shop in which one thing is to be bought. Source: WebShop, arXiv:2207.01206."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from understudy.environments.agents import Scene
from understudy.environments.shop.catalogue import Product
from understudy.environments.shop.goals import Goal, goal_of, price_of
from understudy.environments.shop.pages import (
    BACK,
    BUY,
    DETAILS,
    NEXT,
    PREVIOUS,
    Page,
    detail_page,
    done_page,
    item_page,
    quoted,
    results_page,
    search_page,
)
from understudy.environments.shop.reward import purchase
from understudy.environments.shop.shelf import Shelf
from understudy.protocols import Task

PAGE_SIZE = 10
WIN_REWARD = 10.0
"""Of a purchase whose score is 1; any other earns nothing. Source: ATOD, arXiv:2606.27814."""
_ACTION = re.compile(r"\s*(search|click)\s*\[(.*)\]\s*", re.DOTALL)


@dataclass(frozen=True)
class _Place:
    """Where the customer stands."""

    page: Page
    found: tuple[Product, ...] = ()
    number: int = 1
    product: Product | None = None
    chosen: dict[str, str] = field(default_factory=dict)


class Shop:
    """Implements ``agents.World``: ``search[query]`` and ``click[value]``, until ``click[buy now]``.

    An action that is not on the page changes nothing. The reward is 10 for a purchase of score 1.0; the score itself
    and its parts stand in the scene's ``info``.

    Args:
        shelf: what there is to buy. page_size: results a page. show: makes an observation of a page.
    """

    def __init__(self, shelf: Shelf, *, page_size: int = PAGE_SIZE, show: Callable[[Page], str] = quoted) -> None:
        self._shelf, self._page_size, self._show = shelf, page_size, show
        self._goal = Goal("", "", "", "", "")
        self._place = _Place(search_page())

    def reset(self, task: Task, seed: int) -> Scene:  # noqa: ARG002  (nothing here is drawn)
        """Enter the shop.

        Raises:
            DataError: the task has no goal, or one that lacks a field.
        """
        self._goal, self._place = goal_of(task), _Place(search_page())
        return self._scene()

    def step(self, action: str) -> Scene:
        """Search or click; lower and upper case are the same."""
        found = _ACTION.fullmatch(action)
        if found is None:
            return self._scene()
        verb, value = found[1], " ".join(found[2].split())
        if verb == "search":
            return self._searched(value)
        value = value.lower()
        if value not in self._place.page.clickable:
            return self._scene()
        return self._bought() if value == BUY.lower() else self._clicked(value)

    def _searched(self, query: str) -> Scene:
        if self._place.page.kind == "search" and query:
            self._turn_to(_Place(search_page(), found=self._shelf.search(query)), number=1)
        return self._scene()

    def _clicked(self, value: str) -> Scene:
        place = self._place
        if value == BACK.lower():
            self._place = _Place(search_page())
        elif value in (PREVIOUS.lower(), NEXT.lower()):
            self._move(value)
        elif place.product is None:
            self._open(self._shelf.products[value])
        elif value in (detail.lower() for detail in DETAILS):
            self._place = replace(place, page=detail_page(place.product, value, place.chosen))
        else:
            self._choose(place.product, value)
        return self._scene()

    def _move(self, value: str) -> None:
        """One page on, or back to the page before."""
        place = self._place
        if place.page.kind == "detail" and place.product is not None:
            self._place = replace(place, page=item_page(place.product, place.chosen))
        elif place.page.kind == "item":
            self._turn_to(place, number=place.number)
        else:
            self._turn_to(place, number=place.number + (1 if value == NEXT.lower() else -1))

    def _turn_to(self, place: _Place, *, number: int) -> None:
        page = results_page(place.found, number=number, size=self._page_size)
        self._place = _Place(page, found=place.found, number=number)

    def _open(self, product: Product) -> None:
        self._place = replace(self._place, page=item_page(product, {}), product=product, chosen={})

    def _choose(self, product: Product, value: str) -> None:
        kind = next(kind for kind, values in product.options.items() if value in values)
        chosen = {**self._place.chosen, kind: value}
        self._place = replace(self._place, page=item_page(product, chosen), chosen=chosen)

    def _bought(self) -> Scene:
        product = self._place.product
        assert product is not None, "only a product's page has the button"
        worth = purchase(product, list(self._place.chosen.values()), price_of(product), self._goal)
        won = worth.score == 1.0
        self._place = _Place(done_page())
        figures = {
            "score": worth.score,
            "type_match": worth.type_match,
            "attributes": worth.attributes,
            "options": worth.options,
            "price": worth.price,
        }
        scene = self._scene()
        return replace(scene, reward=WIN_REWARD if won else 0.0, done=True, won=won, info=figures)

    def _scene(self) -> Scene:
        page = self._place.page
        return Scene(self._show(page), self._goal.instruction, admissible=page.actions, info={"score": 0.0})
