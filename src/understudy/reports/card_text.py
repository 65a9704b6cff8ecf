"""Markdown in which text of a run stays text: nothing in it becomes markup, links or HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from understudy.reports.visible_text import visible

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~&$@#]|:(?=//)|(?<=www)\.")


def plain(text: str) -> str:
    r"""The text in one line, every character that Markdown or HTML would act on escaped.

    >>> print(plain("<b>a_b</b>\n|"))
    \<b\>a\_b\</b\> \|
    """
    return _SPECIAL.sub(r"\\\g<0>", _one_line(text))


def code(text: str) -> str:
    r"""The text in one line as code, fit for a table's cell.

    >>> print(code("a"), code("a`|b"), code("`"))
    `a` ``a`\|b`` `` ` ``
    """
    line = _one_line(text).replace("|", "\\|")
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def block(text: str, language: str = "") -> str:
    """The text as a block of code, its lines as they are."""
    shown = visible(text)
    fence = "`" * max(3, _longest_run(shown) + 1)
    return f"{fence}{language}\n{shown.rstrip()}\n{fence}\n"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _one_line(text: str) -> str:
    return " ".join(visible(text).split())


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
