"""One name for each colour, whatever a shop calls its shade."""

from __future__ import annotations

# Our own list of plain and common shades, longest first where one holds another; WebShop's is longer.
COLOURS = (
    "multicolor", "burgundy", "charcoal", "champagne", "turquoise", "chocolate", "lavender", "magenta", "graphite",
    "emerald", "coffee", "copper", "bronze", "silver", "orange", "purple", "yellow", "violet", "maroon", "salmon",
    "cream", "black", "white", "green", "brown", "beige", "khaki", "ivory", "olive", "peach", "coral", "wine",
    "teal", "navy", "blue", "pink", "gold", "gray", "grey", "rose", "aqua", "mint", "plum", "rust", "tan", "red",
)  # fmt: skip
_SAME = {"grey": "gray"}


def plain_colour(option: str) -> str:
    """The colour that an option names, or the option itself where it names none.

    >>> plain_colour("01-dark navy"), plain_colour("GREY stripes"), plain_colour("x-large")
    ('navy', 'gray', 'x-large')
    """
    lowered = option.lower()
    found = next((colour for colour in COLOURS if colour in lowered), None)
    return option if found is None else _SAME.get(found, found)
