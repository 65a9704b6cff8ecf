"""The most likely tokens of a mixture, found without its whole distribution and proved to be the right ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from understudy.models.head import default_chunk_rows
from understudy.protocols import ScoreRequest

At = Callable[[ScoreRequest], Tensor]
"""A request for log-probs at ids -> [R, K] of the mixture."""


def proven_top_k(
    request: ScoreRequest, at: At, *, listed: Tensor, bound: Tensor, vocab_size: int
) -> tuple[Tensor, Tensor]:
    """[R, k] ids and log-probs of the mixture's k most likely tokens, most likely first.

    The candidates are the union of the teachers' own top k, scored by all of them. A token outside every list has at
    most the last listed probability from each teacher, so the mixture gives it at most the weighted mean of these:
    where the k-th candidate reaches that bound, no token is missed. The other rows take the whole vocabulary.

    Args:
        request: with ``top_k`` = k. at: scores the mixture at ids.
        listed: [R, n * k] the teachers' top k side by side, repetitions and all.
        bound: [R] log-prob of the mixture of the teachers' last listed probabilities.
    Source: the stopping rule of the threshold algorithm, Fagin, Lotem and Naor, 2003.
    """
    ids = torch.zeros(bound.numel(), request.top_k, dtype=torch.int64)
    logprobs = torch.full(ids.shape, -torch.inf)
    if listed.shape[1] <= vocab_size:
        ids, logprobs = _best(listed, at(_asking(request, listed)), request.top_k)
    missing = ((logprobs[:, -1] < bound) | logprobs[:, -1].isinf()).nonzero().squeeze(1)
    for rows in missing.split(default_chunk_rows(vocab_size)) if missing.numel() else ():
        everything = torch.arange(vocab_size).expand(rows.numel(), vocab_size)
        whole = at(_asking(request.rows(rows), everything))
        ids[rows], logprobs[rows] = _best(everything, whole, request.top_k)
    return ids, logprobs


def _asking(request: ScoreRequest, ids: Tensor) -> ScoreRequest:
    return replace(request, ids=ids, top_k=0)


def _best(ids: Tensor, logprobs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k most likely of the ids, each counted once."""
    order = ids.argsort(dim=1, stable=True)
    ordered = ids.gather(1, order)
    again = torch.zeros_like(ids, dtype=torch.bool)
    again.scatter_(1, order[:, 1:], ordered[:, 1:] == ordered[:, :-1])
    best = logprobs.masked_fill(again, -torch.inf).topk(k, dim=1)
    return ids.gather(1, best.indices), best.values
