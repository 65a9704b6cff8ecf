"""``understudy bench variance``: what the discount of the policy gradient costs in bias and in variance, exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from understudy.bench.chain import Moments, moments, random_chain
from understudy.bench.tables import Table, aligned, markdown

DISCOUNTS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)

EXPLAINED = (
    "Every sequence of a chain over three tokens is enumerated in float64; the gradient is of one sequence, tokens "
    "summed. Bias: norm of its expectation minus the gradient of KL(S||T) over whole sequences, beside that "
    "gradient's own norm. Variance: trace of the covariance. Bound: no second moment exceeds it; it grows as T^2 "
    "with discount 0 and as T^4 with discount 1 (Revisiting OPD, arXiv:2603.25562). Growth: slope of log variance "
    "over log length between half the longest length and the longest."
)


@dataclass(frozen=True)
class VarianceFound:
    """Means over the chains.

    Args:
        lengths: of the sequences. num_chains: random pairs of student and teacher.
        moments: by discount, one a length.
    """

    lengths: tuple[int, ...]
    num_chains: int
    moments: Mapping[float, Sequence[Moments]]

    def growth(self, discount: float, figure: str = "variance") -> float:
        """Slope of the log of a figure over log length, from half the longest length on."""
        middle = self.lengths.index(max(1, self.lengths[-1] // 2))
        first, last = (getattr(self.moments[discount][place], figure) for place in (middle, -1))
        return math.log(last / first) / math.log(self.lengths[-1] / self.lengths[middle])

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        rows = [
            {"discount": discount, "length": length, **asdict(one)}
            for discount, column in self.moments.items()
            for length, one in zip(self.lengths, column, strict=True)
        ]
        growth = {
            f"{discount:g}": {figure: self.growth(discount, figure) for figure in ("variance", "bound")}
            for discount in self.moments
        }
        return {"explained": EXPLAINED, "num_chains": self.num_chains, "rows": rows, "growth": growth}


def measure(
    *, longest: int = 8, num_chains: int = 8, discounts: Sequence[float] = DISCOUNTS, vocabulary: int = 3
) -> VarianceFound:
    """Exact moments of the sampled gradient by discount and length, means over random chains."""
    lengths = tuple(range(1, longest + 1))
    chains = [random_chain(seed, vocabulary=vocabulary) for seed in range(num_chains)]
    found = {
        discount: [_mean([moments(chain, length, discount=discount) for chain in chains]) for length in lengths]
        for discount in discounts
    }
    return VarianceFound(lengths, num_chains, found)


def tables_of(found: VarianceFound) -> dict[str, Table]:
    """By caption: bias, variance beside its bound, and how both grow."""
    shown = [
        place for place, length in enumerate(found.lengths) if length & (length - 1) == 0 or length == found.lengths[-1]
    ]
    lengths = [f"T = {found.lengths[place]}" for place in shown]
    any_column = next(iter(found.moments.values()))
    bias = [["discount", *lengths], ["gradient's norm", *(f"{any_column[p].signal:.4g}" for p in shown)]]
    bias += [[f"{d:g}", *(f"{column[p].bias:.4g}" for p in shown)] for d, column in found.moments.items()]
    variance = [["discount", *lengths, "growth, bound's growth"]]
    for discount, column in found.moments.items():
        cells = [f"{column[place].variance:.4g} ({column[place].bound:.4g})" for place in shown]
        growths = f"{found.growth(discount):.2f}, {found.growth(discount, 'bound'):.2f}"
        variance.append([f"{discount:g}", *cells, growths])
    return {"Bias": bias, "Variance (bound)": variance}


def text_of(found: VarianceFound) -> str:
    """The tables for a terminal."""
    parts = [f"{caption}\n\n{aligned(table)}" for caption, table in tables_of(found).items()]
    return "\n\n".join([*parts, EXPLAINED])


def section_of(found: VarianceFound, *, command: str) -> str:
    """A section for docs/results.md."""
    tables = [f"**{caption}**\n\n{markdown(table)}" for caption, table in tables_of(found).items()]
    head = ["## Bias and variance against the discount", f"    {command}", f"Means over {found.num_chains} chains."]
    return "\n\n".join([*head, *tables, EXPLAINED])


def _mean(found: Sequence[Moments]) -> Moments:
    return Moments(**{name: fmean(getattr(one, name) for one in found) for name in Moments.__dataclass_fields__})
