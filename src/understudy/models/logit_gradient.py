"""The gradient of a chunk's loss with respect to its logits, in the buffer of the logits themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.errors import ShapeError
from understudy.models.row_terms import RowTerm
from understudy.objectives.row_losses import evaluate, evaluate_full
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

    The buffer of ``logits`` is used up: logits, probabilities and gradient stand in it one after the other.

    Args:
        parts: (number of the term, its entries in this chunk). needed: whether anything takes a gradient.
    Raises:
        ShapeError: a whole-vocabulary term without target states, with another vocabulary, or not a divergence.
    """
    if temperature != 1:
        logits.div_(temperature)
    logits.sub_(logits.amax(1, keepdim=True))
    shifted = [
        logits.index_select(0, part.index) if part.ids is None else logits[part.index[:, None], part.ids]
        for _, part in parts
    ]
    weights = logits.exp_()
    mass = weights.sum(1)
    log_mass = mass.log()
    gradients = []
    for (which, part), at in zip(parts, shifted, strict=True):
        total, gradient = _term_gradient(part, at.sub_(log_mass[part.index, None]), temperature, needed=needed)
        sums[which] += total
        gradients.append(gradient)
    if not needed:
        return None
    # d log-softmax: each row's gradient minus its sum times the softmax.
    spent = torch.zeros_like(mass)
    for (_, part), gradient in zip(parts, gradients, strict=True):
        spent.index_add_(0, part.index, gradient.sum(1), alpha=-1.0 / temperature)
    result = weights.mul_((spent / mass)[:, None])
    for (_, part), gradient in zip(parts, gradients, strict=True):
        _add_at(result, part, gradient, alpha=1.0 / temperature)
    return result


def _term_gradient(part: RowTerm, live: Tensor, temperature: float, *, needed: bool) -> tuple[Tensor, Tensor]:
    """The term's sum and its gradient with respect to the live log-probs [m, k]."""
    live = live.requires_grad_(needed)
    with torch.enable_grad():
        if part.ids is None:
            if not isinstance(part.row_loss, Divergence):
                raise ShapeError(f"term {part.name!r} on the whole vocabulary", expected="a divergence")
            rows = evaluate_full(part.row_loss, live, _target_logprobs(part, temperature, vocab_size=live.shape[1]))
        else:
            rows = evaluate(part.row_loss, live, valid=part.valid)
        total = (part.weights * rows).sum()
    if not needed:
        return total.detach(), live
    if not total.requires_grad:  # every entry is gated: a constant zero
        return total.detach(), torch.zeros_like(live)
    return total.detach(), torch.autograd.grad(total, live)[0]


def _target_logprobs(part: RowTerm, temperature: float, *, vocab_size: int) -> Tensor:
    if part.target is None:
        raise ShapeError(f"term {part.name!r} on the whole vocabulary has no target states")
    with torch.no_grad():
        logits = part.target.project(part.target.states)
        if logits.shape[1] < vocab_size:
            raise ShapeError(
                f"the target's vocabulary of term {part.name!r} is smaller", got=logits.shape[1], expected=vocab_size
            )
        logits = logits[:, :vocab_size].to(torch.promote_types(logits.dtype, torch.float32))
        return (logits / temperature).log_softmax(1)


def _add_at(result: Tensor, part: RowTerm, gradient: Tensor, *, alpha: float) -> None:
    gradient = gradient.to(result.dtype)
    if part.ids is None:
        result.index_add_(0, part.index, gradient, alpha=alpha)
    else:
        flat = part.index[:, None] * result.shape[1] + part.ids
        result.view(-1).index_add_(0, flat.view(-1), gradient.reshape(-1), alpha=alpha)
