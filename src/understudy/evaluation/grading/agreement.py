"""How far graders agree, beyond what chance would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.errors import DataError


@dataclass(frozen=True)
class Agreement:
    """Agreement on criteria.

    Args:
        kappa: Fleiss'; None where it is not defined: no criteria, fewer than two raters, or only one answer ever given.
        share: of pairs of raters that agree, averaged over the criteria; None without criteria.
        num_items: criteria it is over. num_raters: on each of them. num_left_out: criteria with fewer votes.
    """

    kappa: float | None
    share: float | None
    num_items: int
    num_raters: int
    num_left_out: int


def agreement(votes: Sequence[Sequence[bool | None]]) -> Agreement:
    """Agreement on the criteria that have a vote of every grader who voted at all.

    Fleiss' kappa wants equally many raters of each item. A grader without a single vote is no rater; criteria that
    lack a vote of one of the others are left out and counted, not filled in.

    Args:
        votes: one row a criterion, one column a grader, None where there is no vote.
    """
    present = [
        column for column in range(len(votes[0]) if votes else 0) if any(row[column] is not None for row in votes)
    ]
    rows = [[row[column] for column in present] for row in votes]
    whole = [row for row in rows if row and None not in row]
    if not whole or len(present) < 2:
        return Agreement(None, None, len(whole), len(present), len(votes) - len(whole))
    counts = np.array([[sum(row), len(row) - sum(row)] for row in whole], dtype=np.float64)  # type: ignore[arg-type]
    return Agreement(
        fleiss_kappa(counts), float(_agreeing(counts).mean()), len(whole), len(present), len(votes) - len(whole)
    )


def fleiss_kappa(counts: Float[np.ndarray, "item category"]) -> float | None:
    """(P - P_e) / (1 - P_e): agreement P of pairs of raters on an item, P_e the one of raters who guess by the totals.

    >>> round(fleiss_kappa(np.array([[3.0, 0.0], [0.0, 3.0], [2.0, 1.0]])), 4)
    0.55

    Args:
        counts: raters who put the item into the category; every row has the same sum, at least 2.
    Returns:
        At most 1; None where every rating is the same one, so that chance alone agrees.
    Raises:
        DataError: the rows do not have one sum, or it is below 2.
    Source: Fleiss, Psychol. Bull. 76 (1971).
    """
    raters = counts.sum(axis=1)
    if len(counts) == 0 or raters.min() != raters.max() or raters[0] < 2:
        raise DataError("Fleiss' kappa needs equally many raters of each item, at least 2", got=sorted(set(raters)))
    chance = float(np.square(counts.sum(axis=0) / counts.sum()).sum())
    if chance == 1.0:
        return None
    return (float(_agreeing(counts).mean()) - chance) / (1 - chance)


def _agreeing(counts: Float[np.ndarray, "item category"]) -> Float[np.ndarray, "item"]:
    raters = counts.sum(axis=1)
    return (np.square(counts).sum(axis=1) - raters) / (raters * (raters - 1))
