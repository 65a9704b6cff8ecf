"""Text of docstrings as Markdown that reads as plain text too."""

from __future__ import annotations

import re
import textwrap

_WIDTH, _CODE_WIDTH = 120, 96


def filled(text: str) -> str:
    """In lines of at most 96 characters: a block of code that is wider than the site's column has to be scrolled."""
    return textwrap.fill(text, _CODE_WIDTH, break_long_words=False, break_on_hyphens=False)


def wrapped(text: str, *, indent: str = "") -> str:
    """The same as Markdown, whatever its lines were; all but the first begin with ``indent``."""
    flat = " ".join(markdown(text).split())
    return textwrap.fill(flat, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def markdown(text: str) -> str:
    """Docstring text as Markdown: its code as code, and nothing else taken for markup."""
    pieces = re.split(r"(`+[^`]+`+)", text)
    return "".join(
        "`" + piece.strip("`") + "`" if piece.startswith("`") else re.sub(r"<(?=\w)|(?<=\w)\*(?=\w)", r"\\\g<0>", piece)
        for piece in pieces
    )
