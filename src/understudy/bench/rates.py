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
    """The rates of one setting that ``--quick`` uses.

    Args:
        how: the command that found them, and on what they were chosen. rates: by contender.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: str
    rates: Mapping[str, float]


@cache
def stored_rates() -> Mapping[str, StoredRates]:
    """What comes with the package, by setting."""
    return read_rates(STORED)


def read_rates(path: Path) -> dict[str, StoredRates]:
    """The rates in a file, by setting; several files' text one after the other is such a file too."""
    content = parse_yaml(path.read_text(encoding="utf-8"), source=path.name) or {}
    return {setting: StoredRates.model_validate(found) for setting, found in content.items()}


def stored_rate(setting: Setting, label: str) -> float | None:
    """The stored rate of a contender; None where none was found for it."""
    found = stored_rates().get(setting.name)
    return None if found is None else found.rates.get(label)


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


def write_rates(path: Path, *, how: str, setting: str, rates: Mapping[str, float]) -> None:
    """Write rates as the package stores them."""
    write_text(path, format_yaml({setting: {"how": how, "rates": dict(rates)}}))
