"""Docstrings as the API's reader (griffe) and Markdown expect them: our form is shorter than theirs.

>>> print(readable("What.\\n\\nArgs:\\n    a: one\\n        thing. b: as here: so.\\nRaises:\\n    E: no.").rstrip())
What.
<BLANKLINE>
Args:
    a: one thing.
    b: as here: so.
<BLANKLINE>
Raises:
    E: no.
"""

from __future__ import annotations

import re

_SECTION = re.compile(r"^(Args|Raises|Returns|Yields):\n((?:(?: +.*)?\n?)+)", re.MULTILINE)
_SOURCE = re.compile(r"\s*^Source:\s+((?:.+\n?(?!\n))+)", re.MULTILINE)
_EXAMPLE = re.compile(r"^>>> (?:.+\n?)+", re.MULTILINE)
_ARXIV = re.compile(r"(?<![\[/])arXiv:(\d{4}\.\d{5})")
_NEXT = {
    "Args": re.compile(r"(?<=[.;)]) (?=[a-z_]\w*(?:, [a-z_]\w*)*: )"),
    "Raises": re.compile(r"(?<=[.;)]) (?=[A-Z]\w*Error: )"),
}
"""Where an entry begins in the line of another one."""


def readable(text: str) -> str:
    """A cleaned docstring with a blank line around each section, an entry a line, doctests as code, papers as links.

    ``a, b: both`` stays one entry.
    """
    text = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)
    text = _SOURCE.sub(lambda found: f"\n\n**Source:** {' '.join(found[1].split())}\n", text)
    text = _SECTION.sub(_section, text)
    text = _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _section(section: re.Match[str]) -> str:
    name, body = section.groups()
    whole: list[str] = []
    for line in body.rstrip().splitlines():
        if whole and len(line) - len(line.lstrip()) > len("    "):
            whole[-1] += f" {line.strip()}"
        else:
            whole.append(line.strip())
    entries = [entry for line in whole for entry in (_NEXT[name].split(line) if name in _NEXT else [line])]
    return f"\n{name}:\n" + "".join(f"    {entry}\n" for entry in entries) + "\n"
