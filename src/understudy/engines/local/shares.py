"""A plan cut to micro-batches: which rows each one holds, and each term's entries for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from understudy.errors import ShapeError
from understudy.models.forward import MicroBatch, plan_forward
from understudy.models.head import token_ids_fit
from understudy.models.row_terms import RowTerm
from understudy.objectives.row_losses import select
from understudy.plans import Full, LossPlan, LossTerm
from understudy.tokens import Batch, Hidden, TokenTable


@dataclass(frozen=True)
class Span:
    """Where a context lies among the flattened tokens of a micro-batch.

    Args:
        context: its number in the batch. start, length: in tokens; the length is the same in every micro-batch.
    """

    context: int
    start: int
    length: int


@dataclass(frozen=True, eq=False)
class Share:
    """One micro-batch and the plan's terms on its rows, on one device.

    Args:
        batch: ``batch.rows`` are rows of the token table. terms: one for each term of the plan that has rows here.
        spans: of its contexts.
    """

    batch: MicroBatch
    terms: Sequence[RowTerm]
    spans: Sequence[Span] = ()


def shares_of(
    batch: Batch,
    plan: LossPlan,
    *,
    token_budget: int,
    vocab_size: int,
    device: torch.device,
    model: nn.Module | None = None,
) -> list[Share]:
    """The plan in micro-batches. Entries of weight zero take no part: gated rows cost nothing.

    Args:
        model: who will learn; it decides whether contexts may be packed (``plan_forward``).
    Raises:
        ShapeError: a term's ids or rows lie outside the vocabulary or the table.
    """
    terms = [weighted_only(term, batch.table, vocab_size) for term in plan.terms]
    used = torch.unique(torch.cat([torch.zeros(0, dtype=torch.int64), *(term.rows for term in terms)]))
    forward = plan_forward(
        [context.ids for context in batch.contexts],
        batch.table["context"][used],
        batch.table["position"][used],
        token_budget=token_budget,
        model=model,
    )
    moved = [replace(part, rows=used[part.rows]).to(device) for part in forward]
    owner, place = _places([used[part.rows] for part in forward], batch.table.num_tokens)
    cut: list[list[RowTerm]] = [[] for _ in forward]
    for term in terms:
        by_owner = owner[term.rows].argsort(stable=True)
        counts = torch.bincount(owner[term.rows], minlength=len(forward)).tolist() if forward else []
        for share, entries in zip(cut, by_owner.split(counts) if forward else [], strict=True):
            if entries.numel():
                share.append(_row_term(term, entries, place, batch.table, device))
    spans = [_spans(part.flat, used[part.rows], batch.table) for part in forward]
    return [Share(*fields) for fields in zip(moved, cut, spans, strict=True)]


def _spans(flat: Tensor, rows: Tensor, table: TokenTable) -> list[Span]:
    """The state at ``flat`` predicts the token at ``position`` of its context, so it stands one before it."""
    context, position = table["context"][rows], table["position"][rows]
    contexts, owner = context.unique(return_inverse=True)
    starts = torch.zeros(contexts.numel(), dtype=torch.int64).index_put_((owner,), flat - position + 1)
    lengths = torch.zeros(contexts.numel(), dtype=torch.int64).scatter_reduce_(0, owner, position, "amax")
    return [Span(*fields) for fields in zip(contexts.tolist(), starts.tolist(), lengths.tolist(), strict=True)]


def weighted_only(term: LossTerm, table: TokenTable, vocab_size: int) -> LossTerm:
    """The term without its entries of weight zero; ids that only fill a row are zero.

    Raises:
        ShapeError: its ids or rows lie outside the vocabulary or the table.
    """
    if term.rows.numel() and (int(term.rows.min()) < 0 or int(term.rows.max()) >= table.num_tokens):
        raise ShapeError(f"rows of term {term.name!r}", got=int(term.rows.max()), expected=f"< {table.num_tokens}")
    term = replace(term, rows=term.rows.cpu(), weights=term.weights.cpu())
    kept = term.weights.ne(0).nonzero().squeeze(1)
    if kept.numel() < term.rows.numel():
        term = _entries_of(term, kept)
    if not isinstance(term.support, Full):
        ids, valid = term.support.ids, term.support.valid
        if valid is not None:
            ids = ids.masked_fill(~valid, 0)  # what only fills a row may be any number
            term = replace(term, support=replace(term.support, ids=ids))
        if not token_ids_fit(ids, vocab_size):
            raise ShapeError(f"ids of term {term.name!r}", got=int(ids.max()), expected=f"0..{vocab_size - 1}")
    return term


def _entries_of(term: LossTerm, entries: Tensor) -> LossTerm:
    support = term.support
    if not isinstance(support, Full):
        valid = None if support.valid is None else support.valid[entries.to(support.valid.device)]
        support = replace(support, ids=support.ids[entries.to(support.ids.device)], valid=valid)
    return replace(
        term,
        rows=term.rows[entries],
        weights=term.weights[entries],
        row_loss=select(term.row_loss, entries),
        support=support,
    )


def _places(rows_of_parts: Sequence[Tensor], num_tokens: int) -> tuple[Tensor, Tensor]:
    """For each row of the table, its micro-batch and its place in it."""
    owner = torch.zeros(num_tokens, dtype=torch.int64)
    place = torch.zeros(num_tokens, dtype=torch.int64)
    for number, rows in enumerate(rows_of_parts):
        owner[rows] = number
        place[rows] = torch.arange(rows.numel())
    return owner, place


def _row_term(term: LossTerm, entries: Tensor, place: Tensor, table: TokenTable, device: torch.device) -> RowTerm:
    part = _entries_of(term, entries)
    row_term = RowTerm(
        name=term.name,
        index=place[part.rows].to(device),
        weights=part.weights.to(device),
        row_loss=select(part.row_loss, torch.arange(entries.numel(), device=device)),
    )
    if isinstance(part.support, Full):
        source = table.hidden_column(part.support.scorer)
        states = source.states[part.rows.to(source.states.device)].to(device)
        return replace(row_term, target=Hidden(states, source.project))
    valid = part.support.valid
    return replace(row_term, ids=part.support.ids.to(device), valid=None if valid is None else valid.to(device))
