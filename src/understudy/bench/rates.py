"""Learning rates: one for all, the best of a grid on a validation split, or those that were found before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from understudy.bench.results import RunResult
from understudy.bench.settings import Setting
from understudy.recipe.yaml_text import format_yaml, parse_yaml
from understudy.training.durable import write_text

STORED = Path(__file__).parent / "rates.yaml"


class StoredRates(BaseModel):
    """The rates that ``--quick`` uses.

    Args:
        how: the commands that found them, and on what they were chosen. rates: by setting and contender.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: str
    rates: Mapping[str, Mapping[str, float]]


@cache
def stored_rates() -> StoredRates:
    """What comes with the package."""
    return StoredRates.model_validate(parse_yaml(STORED.read_text(encoding="utf-8"), source=STORED.name))


def stored_rate(setting: Setting, label: str) -> float:
    """The stored rate of a contender; the setting's unified one where none was found for it."""
    return stored_rates().rates.get(setting.name, {}).get(label, setting.learning_rate)


def is_stored(setting: Setting, label: str) -> bool:
    """Whether a rate was found for the contender."""
    return label in stored_rates().rates.get(setting.name, {})


def score_of(result: RunResult, setting: Setting) -> float:
    """What a rate is chosen by: mean accuracy of the trained domains, greedy and at temperature 1; -1 if diverged."""
    if result.diverged is not None:
        return -1.0
    performances = [result.domains[domain.name] for domain in setting.trained]
    return fmean(measured.accuracy for each in performances for measured in (each.greedy, each.sampled))


def best_rate(scores: Mapping[float, float]) -> float:
    """The rate of the highest score; the smallest of equals.

    >>> best_rate({1e-4: 0.5, 3e-4: 0.7, 1e-3: 0.7})
    0.0003
    """
    return min(scores, key=lambda rate: (-scores[rate], rate))


def is_at_edge(rate: float, grid: Sequence[float]) -> bool:
    """Whether a better rate may lie outside the grid.

    >>> is_at_edge(1e-4, [1e-4, 3e-4]), is_at_edge(3e-4, [1e-4, 3e-4, 1e-3])
    (True, False)
    """
    return rate in (min(grid), max(grid))


def write_rates(path: Path, *, how: str, setting: Setting, rates: Mapping[str, float]) -> None:
    """Write rates as the package stores them."""
    write_text(path, format_yaml({"how": how, "rates": {setting.name: dict(rates)}}))
