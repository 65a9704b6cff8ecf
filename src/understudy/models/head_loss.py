"""The one differentiated function: row losses on hidden states, in chunks of rows, gradient made in the forward pass.

A plan is data, so the gradient with respect to a chunk's logits is known as soon as its log-sum-exp is. Forward
makes it there, multiplies it back to the hidden states and the head's weights, and keeps only those: memory is one
[chunk, vocabulary] buffer, and one more for each whole-vocabulary term, never [tokens, vocabulary]. Backward scales
by the upstream gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.models.head import Head, in_one_buffer
from understudy.models.logit_gradient import logit_gradient
from understudy.models.row_terms import RowTerm
from understudy.tokens import Hidden


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
    job = _Job(head, [_with_one_buffer(term) for term in terms], temperature, chunk_rows)
    loss, sums = _HeadLoss.apply(job, hidden, *parameters)
    return loss, {term.name: total for term, total in zip(terms, sums, strict=True)}


@dataclass(frozen=True, eq=False)
class _Job:
    head: Head
    terms: Sequence[RowTerm]
    temperature: float
    chunk_rows: int


@dataclass(frozen=True, eq=False)
class _Gradients:
    """What the chunks fill: the hidden states' gradient and, in float32 or better, those of the head's ``wanted``."""

    hidden: Tensor | None
    wanted: Sequence[Tensor]
    totals: Sequence[Tensor]

    @property
    def needed(self) -> bool:
        return self.hidden is not None or bool(self.wanted)

    def handed_over(self) -> list[Tensor]:
        """In the parameters' own precision, rounded once, after all chunks."""
        totals = [total.to(p.dtype) for p, total in zip(self.wanted, self.totals, strict=True)]
        return [*([] if self.hidden is None else [self.hidden]), *totals]


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, job: _Job, hidden: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        wanted = [p for p, wants in zip(parameters, ctx.needs_input_grad[2:], strict=True) if wants]
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        gradients = _Gradients(
            hidden=torch.zeros_like(hidden) if ctx.needs_input_grad[1] else None,
            wanted=wanted,
            totals=[torch.zeros_like(p, dtype=torch.promote_types(p.dtype, dtype)) for p in wanted],
        )
        sums = torch.zeros(len(job.terms), dtype=dtype, device=hidden.device)
        project = in_one_buffer(job.head) if job.head.is_linear else None
        for start, stop, parts in _chunks(job, hidden.shape[0]):
            if project is None:
                _any_chunk(job, hidden, slice(start, stop), parts, sums=sums, gradients=gradients)
            else:
                logits = project(hidden[start:stop])
                _linear_chunk(job, hidden, slice(start, stop), parts, logits=logits, sums=sums, gradients=gradients)
        ctx.gradients = gradients.handed_over()
        ctx.mark_non_differentiable(sums)
        return sums.sum(), sums

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _sums: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError("the head's loss was differentiated twice; its gradients were given away the first time")
        # Scaled in place and let go of, so that the caller's accumulator can keep them: no second copy of the head.
        made, ctx.gradients = ctx.gradients[::-1], None
        return (None, *(made.pop().mul_(upstream) if wants else None for wants in ctx.needs_input_grad[1:]))


def _any_chunk(
    job: _Job,
    hidden: Tensor,
    rows: slice,
    parts: Sequence[tuple[int, RowTerm]],
    *,
    sums: Tensor,
    gradients: _Gradients,
) -> None:
    """One chunk through any head, by autograd; adds to ``sums`` and fills ``gradients``."""
    source = hidden[rows].detach().requires_grad_(gradients.hidden is not None)
    with torch.enable_grad():
        logits = job.head(source)
    made_of = logits.detach().clone()
    grad_logits = logit_gradient(made_of, parts, temperature=job.temperature, sums=sums, needed=gradients.needed)
    if grad_logits is None:
        return
    sources = [*([] if gradients.hidden is None else [source]), *gradients.wanted]
    with job.head.products(grad_logits):
        made = list(torch.autograd.grad(logits, sources, grad_logits))
    if gradients.hidden is not None:
        gradients.hidden[rows] = made.pop(0)
    for total, new in zip(gradients.totals, made, strict=True):
        total.add_(new)


def _linear_chunk(
    job: _Job,
    hidden: Tensor,
    rows: slice,
    parts: Sequence[tuple[int, RowTerm]],
    *,
    logits: Tensor,
    sums: Tensor,
    gradients: _Gradients,
) -> None:
    """The same for a plain linear head: three products, one buffer for logits and their gradient."""
    head = job.head
    # d cap tanh(a / cap): 1 - (logit / cap)^2, a second buffer for the few architectures that cap.
    slope = None if head.cap is None else logits.div(head.cap).square_().neg_().add_(1)
    made = logit_gradient(logits, parts, temperature=job.temperature, sums=sums, needed=gradients.needed)
    if made is None:
        return
    if slope is not None:
        made.mul_(slope)
    if gradients.hidden is not None:
        gradients.hidden[rows] = head.times_weight(made)
    for p, total in zip(gradients.wanted, gradients.totals, strict=True):
        if p.ndim == 2:
            with head.products(made):
                total[: head.vocab_size].addmm_(made.T.to(total.dtype), hidden[rows].to(total.dtype), alpha=head.scale)
        else:
            total[: head.vocab_size].add_(made.sum(0), alpha=head.scale)


def _with_one_buffer(term: RowTerm) -> RowTerm:
    if term.target is None:
        return term
    return replace(term, target=Hidden(term.target.states, in_one_buffer(term.target.project)))


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
