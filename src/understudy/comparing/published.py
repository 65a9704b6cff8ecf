"""Published figures as one side of a comparison: a mean and a number of problems for each suite, no samples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.errors import DataError, RecipeError
from understudy.evaluation.statistics import Estimate, wilson_interval
from understudy.recipe.yaml_text import parse_yaml

_FORM = "{suite: {mean: 0.712, n: 198}}, in YAML or JSON"


def is_published(path: Path) -> bool:
    """Whether a file holds published figures rather than a suite's samples."""
    if path.suffix in (".yaml", ".yml"):
        return True
    content = _json(path) if path.suffix == ".json" and path.is_file() else None
    return isinstance(content, dict) and bool(content) and all(_is_figure(value) for value in content.values())


def read_published(path: Path, *, confidence: float) -> dict[str, Estimate]:
    """The figures by suite, each with Wilson's interval for ``n`` problems.

    For a mean of several samples a problem that interval is conservative: no score in [0, 1] varies more than a
    yes-or-no score of the same mean.

    Raises:
        DataError: the file cannot be read, or an entry is no ``{mean, n}``.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = parse_yaml(text, source=str(path)) if path.suffix in (".yaml", ".yml") else json.loads(text)
    except (OSError, ValueError, RecursionError, RecipeError) as error:
        raise DataError(f"{path} cannot be read", got=f"{type(error).__name__}: {error}", expected=_FORM) from error
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} holds no published figures", expected=_FORM)
    return {str(name): _estimate(entry, f"{name} in {path}", confidence) for name, entry in content.items()}


def _estimate(entry: object, where: str, confidence: float) -> Estimate:
    if not _is_figure(entry):
        raise DataError(f"suite {where} has no mean and number of problems", got=repr(entry)[:80], expected=_FORM)
    mean, n = entry["mean"], entry["n"]  # type: ignore[index]
    if not (_is_number(mean) and 0 <= mean <= 1):
        remedy = "Write a percentage as a share." if _is_number(mean) and 1 < mean <= 100 else None
        raise DataError(f"the mean of {where}", got=mean, expected="a share from 0 to 1, such as 0.712", remedy=remedy)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise DataError(f"the number of problems of {where}", got=n, expected="a whole number, at least 1")
    return wilson_interval(mean * n, n, confidence=confidence)


def _is_figure(value: object) -> bool:
    return isinstance(value, Mapping) and {"mean", "n"} <= value.keys() and "samples" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
