"""The naive truth: full float64 logits of every context, one log-softmax, one autograd pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from understudy.objectives.row_losses import evaluate, evaluate_full
from understudy.plans import Divergence, Full, LossTerm
from understudy.protocols import ScoreRequest
from understudy.tokens import Batch


def dense_logprobs(
    model: nn.Module,
    contexts: Sequence[Tensor],
    context: Tensor,
    position: Tensor,
    *,
    vocab_size: int,
    temperature: float = 1.0,
) -> Tensor:
    """[R, V] float64 log-softmax of each row, one context at a time through the whole model."""
    outputs = [model(input_ids=ids[None]).logits[0, :, :vocab_size].double() for ids in contexts]
    rows = [outputs[c][p - 1] for c, p in zip(context.tolist(), position.tolist(), strict=True)]
    return (torch.stack(rows) / temperature).log_softmax(1)


def double(model: PreTrainedModel) -> PreTrainedModel:
    """A float64 copy."""
    return copy.deepcopy(model).double()


def true_logprobs(model: PreTrainedModel, request: ScoreRequest, *, vocab_size: int) -> Tensor:
    """[R, V] float64, what a scorer of this model should know of each row of a request."""
    rows = (request.contexts, request.context, request.position)
    return dense_logprobs(double(model), *rows, vocab_size=vocab_size, temperature=request.temperature).detach()


def naive_loss(
    model: nn.Module,
    batch: Batch,
    terms: Sequence[LossTerm],
    *,
    vocab_size: int,
    temperature: float = 1.0,
    teachers: dict[str, PreTrainedModel] | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The plan's loss with its graph, and each term's sum."""
    contexts = [context.ids for context in batch.contexts]
    where = (batch.table["context"], batch.table["position"])
    settings = {"vocab_size": vocab_size, "temperature": temperature}
    live = dense_logprobs(model, contexts, *where, **settings)
    with torch.no_grad():
        targets = {n: dense_logprobs(t, contexts, *where, **settings) for n, t in (teachers or {}).items()}
    sums = {}
    for term in terms:
        if isinstance(term.support, Full):
            assert isinstance(term.row_loss, Divergence)
            rows = evaluate_full(term.row_loss, live[term.rows], targets[term.support.scorer][term.rows])
        else:
            at_ids = live[term.rows].gather(1, term.support.ids.clamp(min=0))
            rows = evaluate(term.row_loss, at_ids, valid=term.support.valid)
        sums[term.name] = (term.weights * rows).sum()
    return torch.stack(list(sums.values())).sum(), {name: value.item() for name, value in sums.items()}
