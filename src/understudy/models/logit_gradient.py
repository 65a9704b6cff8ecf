"""The gradient of a chunk's loss with respect to its logits, in the buffer of the logits themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.errors import ShapeError
from understudy.models.kernels.plain import FullTerm
from understudy.models.kernels.rows import full_gradient_, row_statistics, softmax_gradient_
from understudy.models.kernels.statistics import log_probs_at
from understudy.models.row_terms import RowTerm
from understudy.objectives.row_losses import evaluate
from understudy.plans import Divergence


def logit_gradient(
    logits: Float[Tensor, "r v"],
    parts: Sequence[tuple[int, RowTerm]],
    *,
    temperature: float,
    sums: Float[Tensor, "terms"],
    needed: bool,
) -> Float[Tensor, "r v"] | None:
    """The loss of one chunk, added to ``sums``, and its gradient with respect to the logits before temperature.

    The buffer of ``logits`` is used up: the gradient takes its place.

    Args:
        parts: (number of the term, its entries in this chunk). needed: whether anything takes a gradient.
    Raises:
        ShapeError: a whole-vocabulary term without target states, with another vocabulary, or not a divergence.
    """
    statistics = row_statistics(logits, temperature=temperature)
    # d log-softmax: each row's gradient minus its sum times the softmax.
    spent = torch.zeros_like(statistics.mass)
    selected = []
    for which, part in parts:
        if part.ids is not None:
            live = log_probs_at(logits, statistics, rows=part.index, ids=part.ids)
            total, gradient = _selected_gradient(part, live, needed=needed)
            sums[which] += total
            spent.index_add_(0, part.index, gradient.sum(1), alpha=-1.0 / temperature)
            selected.append((part, gradient))
    whole = [(which, part) for which, part in parts if part.ids is None]
    if whole:
        terms = [_full_term(part, temperature, vocab_size=logits.shape[1]) for _, part in whole]
        values = full_gradient_(logits, statistics, terms, spent, needed=needed)
        for (which, part), value in zip(whole, values, strict=True):
            sums[which] += (part.weights * value).sum()
    elif needed:
        softmax_gradient_(logits, statistics, spent)
    if not needed:
        return None
    for part, gradient in selected:
        _add_at(logits, part, gradient, alpha=1.0 / temperature)
    return logits


def _selected_gradient(part: RowTerm, live: Tensor, *, needed: bool) -> tuple[Tensor, Tensor]:
    """The term's sum and its gradient with respect to the live log-probs [m, k]."""
    live = live.requires_grad_(needed)
    with torch.enable_grad():
        total = (part.weights * evaluate(part.row_loss, live, valid=part.valid)).sum()
    if not needed:
        return total.detach(), live
    if not total.requires_grad:  # every entry is gated: a constant zero
        return total.detach(), torch.zeros_like(live)
    return total.detach(), torch.autograd.grad(total, live)[0]


def _full_term(part: RowTerm, temperature: float, *, vocab_size: int) -> FullTerm:
    if not isinstance(part.row_loss, Divergence):
        raise ShapeError(f"term {part.name!r} on the whole vocabulary", expected="a divergence")
    if part.target is None:
        raise ShapeError(f"term {part.name!r} on the whole vocabulary has no target states")
    with torch.no_grad():
        logits = part.target.project(part.target.states)
    if logits.shape[1] < vocab_size:
        raise ShapeError(
            f"the target's vocabulary of term {part.name!r} is smaller", got=logits.shape[1], expected=vocab_size
        )
    target = logits.detach()[:, :vocab_size]
    return FullTerm(part.row_loss, part.index, part.weights, target, row_statistics(target, temperature=temperature))


def _add_at(result: Tensor, part: RowTerm, gradient: Tensor, *, alpha: float) -> None:
    assert part.ids is not None
    flat = part.index[:, None] * result.shape[1] + part.ids
    result.view(-1).index_add_(0, flat.view(-1), gradient.to(result.dtype).reshape(-1), alpha=alpha)
