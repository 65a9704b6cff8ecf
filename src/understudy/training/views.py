"""What a scorer reads: the student's own contexts, or others in which the same tokens stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.errors import ShapeError
from understudy.protocols import View, Viewed
from understudy.rollouts import Context, Rollout
from understudy.tokens import TokenTable


@dataclass(frozen=True, eq=False)
class Reading:
    """Where each scored token stands in what a scorer reads.

    Args:
        contexts: [L] int64 ids each. context: [N] int64, which of them each row of the token table is in.
        position: [N] int64, where; at least 1, or below 1 for a token that has no row there.
        routes: one a context, for scorers that stand for several; see ``ScoreRequest``.
    """

    contexts: Sequence[Tensor]
    context: Tensor
    position: Tensor
    routes: Sequence[str] = ()

    def keep_rows(self, rows: Tensor) -> Reading:
        """The reading of these rows of the table."""
        return replace(self, context=self.context[rows], position=self.position[rows])


def as_the_student(contexts: Sequence[Context], table: TokenTable, *, routes: Sequence[str] = ()) -> Reading:
    """The student's own contexts."""
    return Reading([context.ids for context in contexts], table["context"], table["position"], routes)


def read_through(
    view: View,
    rollouts: Sequence[Rollout],
    contexts: Sequence[Context],
    table: TokenTable,
    *,
    routes: Sequence[str] = (),
) -> Reading:
    """What a scorer reads through a view, one text a context.

    Raises:
        ShapeError: the view gave another number of texts, or does not place every token of a context.
    """
    viewed = view.read(rollouts, contexts)
    _check(viewed, contexts)
    lengths = torch.tensor([context.ids.numel() for context in contexts], dtype=torch.int64)
    starts = lengths.cumsum(0) - lengths
    places = torch.cat([one.position for one in viewed]) if viewed else torch.zeros(0, dtype=torch.int64)
    position = places[starts[table["context"]] + table["position"]]
    return Reading([one.ids for one in viewed], table["context"], position, routes)


def rows_seen_by_all(readings: Iterable[Reading], num_tokens: int) -> Tensor:
    """[M] int64 rows that stand, with something before them, in every reading; only these can be learned from."""
    seen = torch.ones(num_tokens, dtype=torch.bool)
    for reading in readings:
        seen &= reading.position >= 1
    return seen.nonzero().squeeze(1)


def _check(viewed: Sequence[Viewed], contexts: Sequence[Context]) -> None:
    if len(viewed) != len(contexts):
        raise ShapeError("a view gave another number of texts than contexts", got=len(viewed), expected=len(contexts))
    for one, context in zip(viewed, contexts, strict=True):
        if one.position.shape != context.ids.shape or bool((one.position >= one.ids.numel()).any()):
            raise ShapeError(
                "a view must place every token of its context",
                got=f"positions {tuple(one.position.shape)} in {one.ids.numel()} ids",
                expected=f"{tuple(context.ids.shape)} positions inside the ids, -1 for tokens that are not there",
            )
