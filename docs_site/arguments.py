"""A docstring's ``Args`` that share a line, a line each."""

from __future__ import annotations

import re

_SECTION = re.compile(r"^( *)Args:\n((?:(?:\1 +.*)?\n?)+)", re.MULTILINE)
_NEXT = re.compile(r"(?<=[.;)]) (?=[a-z_]\w*(?:, [a-z_]\w*)*: )")


def split(text: str) -> str:
    """The docstring with a line for each argument; ``a, b: both`` stays one.

    >>> print(split("What.\\n\\nArgs:\\n    a: one\\n        thing. b: another, as here: so.\\n"))
    What.
    <BLANKLINE>
    Args:
        a: one thing.
        b: another, as here: so.
    <BLANKLINE>
    """
    return _SECTION.sub(_section, text)


def _section(section: re.Match[str]) -> str:
    indent, body = section.groups()
    inner = f"{indent}    "
    whole: list[str] = []
    for line in body.rstrip().splitlines():
        if whole and len(line) - len(line.lstrip()) > len(inner):
            whole[-1] += f" {line.strip()}"
        else:
            whole.append(line.strip())
    listed = [f"{inner}{part}" for line in whole for part in _NEXT.split(line)]
    return f"{indent}Args:\n" + "\n".join(listed) + body[len(body.rstrip()) :]
