"""Two models on every suite they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.comparing.contest import Contest, Terms, contest
from understudy.comparing.reading import Side, read_side
from understudy.errors import DataError
from understudy.evaluation.multiplicity import holm


@dataclass(frozen=True)
class Comparison:
    """The first model against the second.

    Args:
        a, b: the sides. contests: one a suite. only_a, only_b: suites that one side alone has.
    """

    a: Side
    b: Side
    contests: tuple[Contest, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    terms: Terms

    @property
    def same_source(self) -> bool:
        """Whether both sides are one file or folder."""
        return self.a.path.resolve() == self.b.path.resolve()

    @property
    def no_loss_anywhere(self) -> bool | None:
        """Whether the data support "no loss larger than the margin" on every suite at once; None without a margin.

        Each test must speak for it (intersection-union), so nothing is adjusted.
        """
        tests = [each.equivalence for each in self.contests if each.equivalence is not None]
        return all(test.no_loss for test in tests) if tests else None

    def to_json(self) -> dict[str, object]:
        """One suite's figures as they are, several under ``suites``."""
        names = {"a": self.a.label, "b": self.b.label}
        alone = {"suites_only_in_a": list(self.only_a), "suites_only_in_b": list(self.only_b)}
        if len(self.contests) == 1:
            return {**names, **self.contests[0].to_json(), **alone}
        overall = {} if self.no_loss_anywhere is None else {"no_loss_on_every_suite": self.no_loss_anywhere}
        return {**names, "suites": [each.to_json() for each in self.contests], **overall, **alone}


def compare_results(first: Path, second: Path, terms: Terms) -> Comparison:
    """Compare what two paths hold; see ``reading.read_side`` for what they may be.

    Raises:
        DataError: a path holds no results, or the two share no suite or no problem.
    """
    return compare_sides(read_side(first), read_side(second), terms)


def compare_sides(a: Side, b: Side, terms: Terms) -> Comparison:
    """Compare two sides on the suites both have, matched by name.

    Raises:
        DataError: no suite or no problem in common.
    """
    shared = [name for name in a.marks if name in b.marks]
    if not shared:
        raise DataError(
            f"{a.path} and {b.path} are of different suites",
            got=f"{_listed(a.marks)} and {_listed(b.marks)}",
            expected="at least one suite in common, by its name",
        )
    found = [contest(a.marks[name], b.marks[name], terms) for name in shared]
    return Comparison(
        a=a,
        b=b,
        contests=tuple(_adjusted(found)),
        only_a=tuple(name for name in a.marks if name not in shared),
        only_b=tuple(name for name in b.marks if name not in shared),
        terms=terms,
    )


def _adjusted(found: Sequence[Contest]) -> Sequence[Contest]:
    if len(found) < 2:
        return found
    adjusted = holm([each.paired.p_value for each in found])
    return [replace(each, holm_p_value=p) for each, p in zip(found, adjusted, strict=True)]


def _listed(names: object) -> str:
    return ", ".join(sorted(map(str, names)))  # type: ignore[call-overload]
