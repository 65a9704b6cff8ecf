"""What tokens cost, by a table of the user's own: no prices are built in, for they change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from understudy.errors import DataError
from understudy.office.players import Played


@dataclass(frozen=True)
class Price:
    """Of a model, in any currency, per million tokens: read, written, and read from the server's cache."""

    input: float
    output: float
    cached_input: float | None = None

    def of(self, played: Played) -> float:
        """What an attempt cost."""
        cached = 0 if self.cached_input is None else played.num_cached_tokens
        read = (played.num_prompt_tokens - cached) * self.input + cached * (self.cached_input or 0.0)
        return (read + played.num_tokens * self.output) / 1e6


def price_in(path: Path, model: str) -> Price:
    """The price of a model in a YAML or JSON file: ``MODEL: {input: 0.5, output: 1.5, cached_input: 0.05}``.

    Raises:
        DataError: the file cannot be read, or has no such model.
    """
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read", got=" ".join(str(error).split())[:200]) from error
    row = table.get(model) if isinstance(table, dict) else None
    if not isinstance(row, dict):
        known = ", ".join(map(str, table)) if isinstance(table, dict) else repr(table)[:80]
        raise DataError(f"{path} has no price of {model}", got=known, expected=f"{model}: {{input: .., output: ..}}")
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float) and value >= 0}
    if numbers.keys() != row.keys() or not {"input", "output"} <= row.keys() <= {"input", "output", "cached_input"}:
        raise DataError(f"the price of {model} is none", got=repr(row), expected="input and output per million tokens")
    return Price(**numbers)
