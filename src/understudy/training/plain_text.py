"""Text from models and data made fit for a terminal: nothing in it moves the cursor, rings or changes colours."""

from __future__ import annotations

import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories without a glyph: controls, directions, half pairs, private use, unknown, odd line ends."""


def printable(text: str) -> str:
    r"""The text with every character that has no glyph written as its escape; line breaks and tabs stay.

    >>> printable("a\x1b[31mred\r\n\u202eback")
    'a\\x1b[31mred\\r\n\\u202eback'
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(one if one in "\n\t" or _has_glyph(one) else ascii(one)[1:-1] for one in text)


def _has_glyph(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN


def shortened(text: str, most: int) -> str:
    """The text, or its two ends with the number of characters between them.

    >>> shortened("abcdefghij", 4)
    'ab ... 6 characters ... ij'
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters ... {text[-half:]}"
