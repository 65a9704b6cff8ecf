r"""Job ``mathematics``: whether an answer equals a gold answer as mathematics, by ``math-verify``.

math-verify's own time-outs are off (they need the main thread and stop no C code): the pool's deadline holds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST_TEXT = 4000
"""Answers stand at the end; more than so many characters of unboxed text are not searched."""

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE = re.compile(r"[{}]")
_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}")


def preload() -> None:
    """Load math-verify and its grammar once, before any worker is forked."""
    logging.disable(logging.CRITICAL)
    from math_verify import parse, verify

    verify(
        parse("$\\frac{1}{2}$", parsing_timeout=None), parse("$x^{2}+1$", parsing_timeout=None), timeout_seconds=None
    )
    for text in (r"\boxed{\{1,2\}}", "$(1,2)$", r"$\sqrt{2}+\pi$"):
        parse(text, parsing_timeout=None)


def prepare(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Work on ``{golds: [text], completion: text}``; ``extract``, a pattern, among the options.

    The result has ``unread`` (the first gold answer that nothing can read, or None), ``parsed`` and ``correct``.
    A completion of None asks whether the gold answers can be used: each is read, and compared with itself.
    """
    from math_verify import verify

    def same(gold: list[Any], found: list[Any]) -> bool:
        return verify(gold, found, timeout_seconds=None)

    pattern = re.compile(options["extract"]) if options.get("extract") else None

    def work(payload: Mapping[str, Any]) -> dict[str, Any]:
        golds = [read_gold(gold, pattern) for gold in payload["golds"]]
        unread = next((gold for gold, found in zip(payload["golds"], golds, strict=True) if not found), None)
        if unread is not None:
            return {"unread": unread, "parsed": None, "correct": False}
        if payload["completion"] is None:
            unequal = [text for text, gold in zip(payload["golds"], golds, strict=True) if not same(gold, gold)]
            return {"unread": unequal[0] if unequal else None, "parsed": None, "correct": False}
        found = read(payload["completion"], pattern)
        correct = bool(found) and any(same(gold, found) for gold in golds)
        return {"unread": None, "parsed": str(found[0])[:200] if found else None, "correct": correct}

    return work


def read(text: str, pattern: re.Pattern[str] | None) -> list[Any]:
    """What stands in a completion: in the pattern's last match, else in the last box, else anywhere near the end."""
    from math_verify import parse

    if pattern is not None:
        matches = list(pattern.finditer(text))
        if not matches or matches[-1].group(1) is None:
            return []
        return read_gold(matches[-1].group(1), None)
    box = last_box(text)
    if box is not None:
        return parse(rf"\boxed{{{box}}}", parsing_timeout=None)
    return parse(text[-_LONGEST_TEXT:], parsing_timeout=None)


def read_gold(text: str, pattern: re.Pattern[str] | None) -> list[Any]:
    """What an answer that stands alone says; LaTeX needs no dollars around it."""
    from math_verify import parse

    matches = [] if pattern is None else list(pattern.finditer(text))
    if matches and matches[-1].group(1) is not None:
        text = matches[-1].group(1)
    box = last_box(text)
    if box is not None:
        return parse(rf"\boxed{{{box}}}", parsing_timeout=None)
    bare, in_dollars = text, f"${text.strip()}$"
    if _WORDS.search(text) and "\\" not in text:  # prose: as LaTeX, its letters would be multiplied
        return parse(bare, parsing_timeout=None)
    first, second = (bare, in_dollars) if "$" in text else (in_dollars, bare)
    return parse(first, parsing_timeout=None) or parse(second, parsing_timeout=None)


def last_box(text: str) -> str | None:
    r"""The content of the last box whose braces close; None where there is none.

    >>> last_box(r"\boxed{3} then \boxed{\frac{1}{2}} and \boxed{4")
    '\\frac{1}{2}'
    """
    begins = {box.end() for box in _BOX.finditer(text)}
    opened: list[int] = []
    last: tuple[int, int] | None = None
    for brace in _BRACE.finditer(text):  # once through: a model that only repeats "\boxed{" must not take its square
        if brace.group() == "{":
            opened.append(brace.end())
        elif opened and (start := opened.pop()) in begins and (last is None or start > last[0]):
            last = start, brace.start()
    return None if last is None else text[slice(*last)]
