"""For the API's pages: a docstring's ``Args`` that share a line get a line each, as its reader (griffe) expects."""

from __future__ import annotations

from typing import Any

import griffe
from docs_site.arguments import split


class SplitArguments(griffe.Extension):
    """``a: one thing. b: another.`` become two arguments."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of a class or a function, before its docstring is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = split(obj.docstring.value)
