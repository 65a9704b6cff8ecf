"""The checks of a task from those of its files, and of a run from those of its tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from understudy.evaluation.deliverables.checks.counting import counts_of
from understudy.evaluation.deliverables.checks.wishes import wishes_in
from understudy.evaluation.deliverables.deliverable import Deliverable

_SHARES = {
    "placeholder_share": (("pieces_with_placeholder",), ("pieces",)),
    "live_formula_share": (("live_formulas",), ("live_formulas", "hard_coded_numbers")),
    "words_per_section": (("words",), ("sections",)),
}
_FOUND_BY = {"highlights": "highlights", "date": "dates", "signature": "signature_blocks"}


def checks_of(files: Sequence[Deliverable], *, prompt: str, num_unreadable: int = 0) -> dict[str, float]:
    """The checks of one task, under the names of ``counts_of`` with three shares, and of what the task asks for.

    ``wished_highlights``, ``wished_date``, ``wished_signature``: 1 where the prompt asks for it, and
    ``kept_highlights``, ...: 1 where it is there too; both are left out where the prompt does not.
    ``unreadable_files``: handed in and not to be read. Shares are left out where there is nothing they could be of.

    Args:
        files: that could be read. prompt: of the task.
    """
    counts = _added([counts_of(file) for file in files]) | {"unreadable_files": float(num_unreadable)}
    wishes = wishes_in(prompt)
    for wish, found in _FOUND_BY.items():
        if getattr(wishes, wish):
            counts |= {f"wished_{wish}": 1.0, f"kept_{wish}": float(counts.get(found, 0.0) > 0)}
    return _with_shares(counts)


def summed(tasks: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The checks of several tasks together: counts add up, shares are of the sums, ``kept_*`` counts kept wishes."""
    return _with_shares(_added([{k: v for k, v in task.items() if k not in _SHARES} for task in tasks]))


def _added(all_counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found = defaultdict[str, float](float)
    for counts in all_counts:
        for name, count in counts.items():
            found[name] += count
    return dict(found)


def _with_shares(counts: dict[str, float]) -> dict[str, float]:
    for name, (above, below) in _SHARES.items():
        whole = sum(counts.get(part, 0.0) for part in below)
        if whole:
            counts[name] = sum(counts.get(part, 0.0) for part in above) / whole
    return counts
