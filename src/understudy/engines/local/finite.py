"""Sums of a loss that are numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from understudy.errors import NonFiniteError


def refuse_non_finite(sums: Mapping[str, float]) -> None:
    """Raise NonFiniteError, naming the term, where a term's sum is NaN or infinite."""
    for name, value in sums.items():
        if not math.isfinite(value):
            raise NonFiniteError(f"the loss term {name!r} is not finite", got=value)
