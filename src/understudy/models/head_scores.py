"""The no-grad twin of ``head_loss``: log-probabilities, top-k and entropy of hidden rows in one pass over the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.models.head import in_one_buffer
from understudy.models.kernels.rows import row_statistics


@dataclass(frozen=True, eq=False)
class RowScores:
    """Nats, float32, on the device of the hidden states.

    Args:
        sampled: [R]. at_ids: [R, K]. top_ids, top_logprobs: [R, top_k], most likely first. entropy: [R].
    """

    sampled: Tensor
    at_ids: Tensor | None = None
    top_ids: Tensor | None = None
    top_logprobs: Tensor | None = None
    entropy: Tensor | None = None


@torch.no_grad()
def score_rows(
    hidden: Float[Tensor, "r h"],
    head: Callable[[Tensor], Tensor],
    *,
    token_id: Int[Tensor, "r"],
    ids: Int[Tensor, "r k"] | None = None,
    top_k: int = 0,
    entropy: bool = False,
    temperature: float = 1.0,
    chunk_rows: int,
) -> RowScores:
    """Scores under softmax(head(hidden) / temperature), never more than ``chunk_rows`` rows of logits at a time.

    Args:
        head: [m, H] -> [m, V] float32 logits. token_id: the token that stands at each row. ids: further tokens.
        top_k: how many of the most likely tokens; at most the vocabulary.
    """
    project = in_one_buffer(head)
    parts = [
        _score_chunk(
            project(hidden[start : start + chunk_rows]),
            token_id=token_id[start : start + chunk_rows],
            ids=None if ids is None else ids[start : start + chunk_rows],
            top_k=top_k,
            entropy=entropy,
            temperature=temperature,
        )
        for start in range(0, max(1, hidden.shape[0]), chunk_rows)
    ]
    if len(parts) == 1:
        return parts[0]
    return RowScores(
        sampled=torch.cat([part.sampled for part in parts]),
        at_ids=_joined([part.at_ids for part in parts]),
        top_ids=_joined([part.top_ids for part in parts]),
        top_logprobs=_joined([part.top_logprobs for part in parts]),
        entropy=_joined([part.entropy for part in parts]),
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None


def _score_chunk(
    logits: Tensor, *, token_id: Tensor, ids: Tensor | None, top_k: int, entropy: bool, temperature: float
) -> RowScores:
    statistics = row_statistics(logits, temperature=temperature, entropy=entropy)
    top = torch.topk(logits, min(top_k, logits.shape[1]), dim=1) if top_k else None
    return RowScores(
        sampled=statistics.log_probs(logits.gather(1, token_id[:, None])).squeeze(1).float(),
        at_ids=None if ids is None else statistics.log_probs(logits.gather(1, ids)).float(),
        top_ids=None if top is None else top.indices,
        top_logprobs=None if top is None else statistics.log_probs(top.values).float(),
        entropy=statistics.entropy.float() if entropy else None,
    )
