"""For the API's pages: docstrings are made readable before griffe parses them."""

from __future__ import annotations

from typing import Any

import griffe
from docs_site.docstrings import readable


class ReadableDocstrings(griffe.Extension):
    """Every docstring goes through ``readable``."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of a module, a class, a function or an attribute, before its docstring is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
