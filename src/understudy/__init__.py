"""Understudy: on-policy distillation for language models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.api import Run, train
    from understudy.comparing import compare
    from understudy.evaluating import evaluate
    from understudy.recipe import Recipe, load_recipe

__version__ = "0.1.0"
__all__ = ["Recipe", "Run", "__version__", "compare", "evaluate", "load_recipe", "train"]

_HOMES = {
    "Recipe": "understudy.recipe",
    "Run": "understudy.api",
    "compare": "understudy.comparing",
    "evaluate": "understudy.evaluating",
    "load_recipe": "understudy.recipe",
    "train": "understudy.api",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: ``understudy --help`` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'understudy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
