"""Observations that are longer than a student should read."""

from __future__ import annotations

from collections.abc import Callable

CHARACTERS_A_TOKEN = 4
"""How long a token is taken to be; a world does not know the student's tokenizer."""
MARK = " ... (cut)"


def cut_to(max_tokens: int | None) -> Callable[[str], tuple[str, bool]]:
    """Shortens an observation to about so many tokens, at a space where one is near, and marks it; None leaves it.

    >>> cut_to(3)("one two three four")
    ('one two ... (cut)', True)
    >>> cut_to(3)("one two")
    ('one two', False)
    """
    if max_tokens is None:
        return lambda text: (text, False)
    room = max_tokens * CHARACTERS_A_TOKEN

    def cut(text: str) -> tuple[str, bool]:
        if len(text) <= room:
            return text, False
        kept = text[:room]
        head, _, tail = kept.rpartition(" ")
        return (head if head and len(tail) < room // 2 else kept) + MARK, True

    return cut
