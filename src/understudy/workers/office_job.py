"""Job ``office``: a workbook, document or presentation; one that keeps its reader busy costs its worker."""

from __future__ import annotations

import base64
import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any


def preload() -> None:
    """Load the readers' libraries once, before any worker is forked; a missing one is told with the file it is for."""
    for library in ("openpyxl", "pptx"):
        with suppress(ImportError):
            importlib.import_module(library)


def prepare(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Work on ``{content: base 64, ...}`` by the function ``options["reader"]``, ``module:name``, as it answers."""
    module, _, name = options["reader"].partition(":")
    _leave_out(module.rpartition(".")[0].rpartition(".")[0])
    reader: Any = getattr(importlib.import_module(module), name)
    return lambda payload: reader(base64.b64decode(payload["content"]), **payload["arguments"])


def _leave_out(package: str) -> None:
    """Stand in for a package without what its ``__init__`` imports: torch, which takes seconds and reads no files."""
    parent = importlib.import_module(package.rpartition(".")[0])
    bare = ModuleType(package)
    bare.__path__ = [str(Path(folder) / package.rpartition(".")[2]) for folder in parent.__path__]
    sys.modules.setdefault(package, bare)
