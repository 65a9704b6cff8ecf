"""Job ``function``: a user's own verifier, imported by name in the worker."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def preload() -> None:
    """Nothing: the user's module is imported in the worker, where it may hang or crash."""


def prepare(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Work on ``{completion: text, columns: {...}}`` by the function ``options["function"]``, ``module:name``.

    The working directory is searched for the module first. The result is what ``verdict_of`` gives.
    """
    sys.path.insert(0, str(Path.cwd()))
    module, _, name = options["function"].partition(":")
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    if not callable(function):
        raise TypeError(f"{options['function']} is no function")
    return lambda payload: verdict_of(function(payload["completion"], payload["columns"]), payload["completion"])


def verdict_of(answer: Any, completion: str) -> dict[str, Any]:
    """``reward``, ``correct`` and ``parsed`` of what a function answered, or ``wrong``: why it is no verdict.

    True and False decide; a number is a reward and decides nothing; a record or mapping may give all three.

    >>> verdict_of(True, "x"), verdict_of(0.5, "x")["correct"]
    ({'reward': 1.0, 'correct': True, 'parsed': 'x'}, None)
    >>> verdict_of("yes", "x")
    {'wrong': "str 'yes'"}
    """
    if is_flag(answer):
        return {"reward": float(answer), "correct": bool(answer), "parsed": completion}
    if is_number(answer):
        return {"reward": float(answer), "correct": None, "parsed": completion}
    fields = {name: field_of(answer, name) for name in ("reward", "correct", "parsed")}
    reward, correct = fields["reward"], fields["correct"]
    if reward is None and is_flag(correct):
        reward = float(correct)
    if not is_number(reward) or not (correct is None or is_flag(correct)):
        return {"wrong": f"{type(answer).__name__} {answer!r}"[:120]}
    parsed = completion if not has_field(answer, "parsed") else fields["parsed"]
    return {
        "reward": float(reward),
        "correct": None if correct is None else bool(correct),
        "parsed": None if parsed is None else str(parsed),
    }


def is_flag(value: Any) -> bool:
    """Whether it is a truth value, numpy's own among them."""
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def is_number(value: Any) -> bool:
    """Whether it is a finite number and no truth value."""
    try:
        return not isinstance(value, str) and not is_flag(value) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False


def has_field(answer: Any, name: str) -> bool:
    """Whether a mapping has the key, or a record the attribute."""
    return name in answer if isinstance(answer, Mapping) else hasattr(answer, name)


def field_of(answer: Any, name: str) -> Any:
    """The key of a mapping or the attribute of a record; None where it has none."""
    return answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)
