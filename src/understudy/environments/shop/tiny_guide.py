"""What to do next in the tiny shop, read off a tiny prompt: by one who looks, and by one who does not."""

from __future__ import annotations

from dataclasses import dataclass

_ITEM_WORDS = 4  # number, stuff, thing, price


@dataclass(frozen=True)
class _Wish:
    shade: str
    stuff: str
    thing: str
    bound: int


def careful(prompt: str) -> str:
    """The reply of one who minds price and colour, from any page.

    >>> careful("found b7 wool hat 38 b2 wool hat 8 want red wool hat under 20 :")
    'click b2'
    >>> careful("wool hat 8 red blue want red wool hat under 20 :")
    'click red'
    """
    page, wish = _read(prompt)
    match page:
        case ["search"]:
            return f"search {wish.stuff} {wish.thing}"
        case ["found", *listed]:
            fitting = [item for item in _items(listed) if _fits(item[1:], wish)]
            return f"click {fitting[0][0]}" if fitting else "click back to search"
        case [_, _, price, *options] if price.isdigit():
            if not _fits(page[:3], wish):
                return "click < prev"
            return "click buy now" if options[-2:] == ["has", wish.shade] else f"click {wish.shade}"
        case ["page", *_]:
            return "click < prev"
    return "click back to search"


def hasty(prompt: str) -> str:
    """The reply of one who searches half of what is wanted, opens what stands last, and buys as it is.

    >>> hasty("found b7 wool hat 38 b2 silk hat 8 want red wool hat under 20 :")
    'click b2'
    """
    page, wish = _read(prompt)
    match page:
        case ["search"]:
            return f"search {wish.thing}"
        case ["found", *listed] if listed:
            return f"click {_items(listed)[-1][0]}"
        case [_, _, price, *_] if price.isdigit():
            return "click buy now"
    return careful(prompt)


def _read(prompt: str) -> tuple[list[str], _Wish]:
    page, _, wish = prompt.removesuffix(" :").rpartition(" want ")
    shade, stuff, thing, _, bound = wish.split()
    return page.split(), _Wish(shade, stuff, thing, int(bound))


def _items(listed: list[str]) -> list[list[str]]:
    return [listed[start : start + _ITEM_WORDS] for start in range(0, len(listed), _ITEM_WORDS)]


def _fits(item: list[str], wish: _Wish) -> bool:
    return item[:2] == [wish.stuff, wish.thing] and int(item[2]) <= wish.bound
