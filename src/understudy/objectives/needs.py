"""What a piece of an objective must find in the token table, and what that asks of each scorer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from understudy.errors import CapabilityError
from understudy.protocols import Capabilities

_Function = TypeVar("_Function", bound=Callable[..., Any])

SCORERS = ("student", "teacher", "reference")


@dataclass(frozen=True)
class Needs:
    """Columns that scorers must fill before planning.

    Args:
        columns: narrow columns, e.g. ``teacher_logprob``, ``student_entropy``.
        top_k: scorer name -> K; gives the wide column ``<scorer>_top_k``.
        at_ids: (scorer, wide column) pairs; the scorer's log-probs at that column's ids become
            ``<scorer>_at_<wide column>``.
        hidden: scorers whose last hidden states are needed (full-vocabulary terms).
        graded: columns of the rollouts that a verifier or an environment must fill, ``reward`` or ``correct``.
    """

    columns: frozenset[str] = frozenset()
    top_k: Mapping[str, int] = field(default_factory=dict)
    at_ids: frozenset[tuple[str, str]] = frozenset()
    hidden: frozenset[str] = frozenset()
    graded: frozenset[str] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            columns=self.columns | other.columns,
            top_k={
                name: max(self.top_k.get(name, 0), other.top_k.get(name, 0)) for name in {**self.top_k, **other.top_k}
            },
            at_ids=self.at_ids | other.at_ids,
            hidden=self.hidden | other.hidden,
            graded=self.graded | other.graded,
        )

    def scorers(self) -> frozenset[str]:
        """Names of the scorers that must answer, ``student`` included."""
        named = {column.split("_", 1)[0] for column in self.columns}
        return frozenset((named & set(SCORERS)) | set(self.top_k) | {pair[0] for pair in self.at_ids} | self.hidden)

    def has_column(self, scorer: str, column: str) -> bool:
        """Whether ``<scorer>_<column>`` is needed."""
        return f"{scorer}_{column}" in self.columns

    def missing_from(self, scorer: str, capabilities: Capabilities) -> list[str]:
        """Sentences naming what ``scorer`` would have to give and cannot; empty when it suffices."""
        ids = capabilities.width(self._widest_ids(scorer))
        wants = [
            (self.has_column(scorer, "logprob") and not capabilities.sampled, "the sampled token's log-prob"),
            (self.has_column(scorer, "entropy") and not capabilities.entropy, "exact entropies"),
            (
                capabilities.width(self.top_k.get(scorer, 0)) > capabilities.top_k,
                f"the top {self.top_k.get(scorer, 0)} tokens (its limit: {capabilities.top_k})",
            ),
            (ids > capabilities.at_ids, f"log-probs at {ids} chosen ids (its limit: {capabilities.at_ids})"),
            (scorer in self.hidden and not capabilities.hidden, "last hidden states (a full-vocabulary divergence)"),
        ]
        return [what for is_missing, what in wants if is_missing]

    def _widest_ids(self, scorer: str) -> int:
        """K of the widest column at whose ids the scorer must answer; 0 for none."""
        columns = [column for who, column in self.at_ids if who == scorer]
        return max((self.top_k.get(column.removesuffix("_top_k"), 1) for column in columns), default=0)

    def check(self, scorer: str, capabilities: Capabilities) -> None:
        """Raise CapabilityError unless ``capabilities`` cover what is needed of ``scorer``."""
        missing = self.missing_from(scorer, capabilities)
        if missing:
            raise CapabilityError(
                f"the method needs {' and '.join(missing)} from the {scorer}",
                got=capabilities,
                remedy=f"Use a {scorer} that gives it, or another method.",
            )

    def describe(self) -> list[str]:
        """Short sorted names of everything needed, for tables."""
        wide = [f"{name}_top_{k}" for name, k in self.top_k.items()]
        wide += [f"{scorer}_at_{column}" for scorer, column in self.at_ids]
        return sorted([*self.columns, *self.graded, *wide, *(f"{name}_full_vocabulary" for name in self.hidden)])


def requires(*columns: str, needs: Needs | None = None) -> Callable[[_Function], _Function]:
    """Mark a slot function with the columns it reads."""
    total = Needs(columns=frozenset(columns)) | (needs or Needs())

    def mark(function: _Function) -> _Function:
        function.needs = total  # type: ignore[attr-defined]
        return function

    return mark


def needs_of(*slots: object) -> Needs:
    """The union of the slots' needs; slots without any (and None) count as needing nothing."""
    total = Needs()
    for slot in slots:
        total = total | getattr(slot, "needs", Needs())
    return total


def union(needs: Iterable[Needs]) -> Needs:
    """The union of several."""
    total = Needs()
    for one in needs:
        total = total | one
    return total
