"""Results that are longer than an agent should read: what begins them and what ends them is kept."""

from __future__ import annotations


def cut_middle(text: str, most: int) -> str:
    """At most about ``most`` characters: the middle goes, and a mark says how much of it.

    >>> cut_middle("abcdefghij", 4)
    'ab\\n... (6 characters cut) ...\\nij'
    >>> cut_middle("abc", 4)
    'abc'
    """
    if len(text) <= most:
        return text
    head, tail = most - most // 2, most // 2
    return f"{text[:head]}\n... ({len(text) - most} characters cut) ...\n{text[len(text) - tail :]}"
