"""The one differentiated function: row losses on hidden states, in chunks of rows, gradient made in the forward pass.

A plan is data, so the gradient with respect to a chunk's logits is known as soon as its log-sum-exp is. Forward
makes it there, multiplies it back to the hidden states and the head's weights, and keeps only those: memory is one
[chunk, vocabulary] buffer, never [tokens, vocabulary]. Backward scales by the upstream gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.models.head import Head
from understudy.models.logit_gradient import logit_gradient
from understudy.models.row_terms import RowTerm


def head_loss(
    hidden: Float[Tensor, "r h"],
    head: Head,
    terms: Sequence[RowTerm],
    *,
    temperature: float = 1.0,
    chunk_rows: int,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Sum over terms and rows of weight * row loss at the live log-probs of softmax(head(hidden) / temperature).

    Args:
        hidden: rows of last hidden states; may be none, then the loss is a zero attached to the graph.
        head: gives logits; its trainable parameters receive gradients.
        chunk_rows: rows whose logits exist at one time.
    Returns:
        The loss, to call ``backward`` on, and each term's detached sum.
    Raises:
        ShapeError: a whole-vocabulary term without target states or with another vocabulary.
    """
    parameters = head.parameters
    job = _Job(head, terms, temperature, chunk_rows)
    loss, sums = _HeadLoss.apply(job, hidden, *parameters)
    return loss, {term.name: total for term, total in zip(terms, sums, strict=True)}


@dataclass(frozen=True, eq=False)
class _Job:
    head: Head
    terms: Sequence[RowTerm]
    temperature: float
    chunk_rows: int


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, job: _Job, hidden: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        wants_hidden = ctx.needs_input_grad[1]
        wanted = [p for p, wants in zip(parameters, ctx.needs_input_grad[2:], strict=True) if wants]
        grad_hidden = torch.zeros_like(hidden) if wants_hidden else None
        grads = [torch.zeros_like(p) for p in wanted]
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        sums = torch.zeros(len(job.terms), dtype=dtype, device=hidden.device)
        run = _affine_chunk if job.head.is_affine and all(p.dtype == dtype for p in parameters) else _any_chunk
        for start, stop, parts in _chunks(job, hidden.shape[0]):
            into = None if grad_hidden is None else grad_hidden[start:stop]
            run(job, hidden[start:stop], parts, sums=sums, grad_rows=into, wanted=wanted, grads=grads)
        ctx.save_for_backward(*([] if grad_hidden is None else [grad_hidden]), *grads)
        ctx.mark_non_differentiable(sums)
        return sums.sum(), sums

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _sums: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        scale = upstream
        return (None, *(_scaled(next(saved), scale) if wants else None for wants in ctx.needs_input_grad[1:]))


def _any_chunk(
    job: _Job,
    hidden: Tensor,
    parts: Sequence[tuple[int, RowTerm]],
    *,
    sums: Tensor,
    grad_rows: Tensor | None,
    wanted: list[Tensor],
    grads: list[Tensor],
) -> None:
    """One chunk through any head, by autograd; adds to ``sums`` and ``grads`` and fills ``grad_rows``."""
    source = hidden.detach().requires_grad_(grad_rows is not None)
    with torch.enable_grad():
        logits = job.head(source)
    needed = grad_rows is not None or bool(wanted)
    grad_logits = logit_gradient(logits.detach().clone(), parts, temperature=job.temperature, sums=sums, needed=needed)
    if grad_logits is None:
        return
    made = torch.autograd.grad(logits, [*([] if grad_rows is None else [source]), *wanted], grad_logits)
    if grad_rows is not None:
        grad_rows.copy_(made[0])
    for total, new in zip(grads, made[len(made) - len(wanted) :], strict=True):
        total.add_(new)


def _affine_chunk(
    job: _Job,
    hidden: Tensor,
    parts: Sequence[tuple[int, RowTerm]],
    *,
    sums: Tensor,
    grad_rows: Tensor | None,
    wanted: list[Tensor],
    grads: list[Tensor],
) -> None:
    """The same for a plain linear head: three products, one buffer for logits and their gradient, none for weights."""
    wide = hidden.to(sums.dtype)
    needed = grad_rows is not None or bool(wanted)
    grad_logits = logit_gradient(job.head(wide), parts, temperature=job.temperature, sums=sums, needed=needed)
    if grad_logits is None:
        return
    size = job.head.vocab_size
    if grad_rows is not None:
        grad_rows.copy_(grad_logits @ job.head.weight[:size].to(sums.dtype))
    for p, total in zip(wanted, grads, strict=True):
        if p.ndim == 2:
            total[:size].addmm_(grad_logits.T, wide)
        else:
            total[:size].add_(grad_logits.sum(0))


def _scaled(grad: Tensor, scale: Tensor) -> Tensor:
    return grad * scale.to(grad.dtype)


def _chunks(job: _Job, num_rows: int) -> list[tuple[int, int, list[tuple[int, RowTerm]]]]:
    """(start, stop, [(number of the term, its part)]) of each chunk that holds at least one entry of a term."""
    edges = [*range(0, num_rows, job.chunk_rows), num_rows]
    bounds = [_bounds(term.index, edges) for term in job.terms]
    chunks = []
    for number, (start, stop) in enumerate(pairwise(edges)):
        parts = [
            (which, term.part(cuts[number], cuts[number + 1]))
            for which, (term, cuts) in enumerate(zip(job.terms, bounds, strict=True))
            if cuts[number] < cuts[number + 1]
        ]
        if parts:
            chunks.append((start, stop, [(which, replace(part, index=part.index - start)) for which, part in parts]))
    return chunks


def _bounds(index: Tensor, edges: list[int]) -> list[int]:
    if len(edges) <= 2:  # one chunk holds all
        return [0, index.numel()]
    return torch.searchsorted(index, torch.tensor(edges, device=index.device)).tolist()
