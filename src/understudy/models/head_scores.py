"""The no-grad twin of ``head_loss``: log-probabilities, top-k and entropy of hidden rows in one pass over the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


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
    parts = [
        _score_chunk(
            head(hidden[start : start + chunk_rows]),
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
    # One buffer, worked in place: on a CPU torch.logsumexp costs several times this.
    scaled = logits.div_(temperature) if temperature != 1 else logits
    scaled.sub_(scaled.amax(1, keepdim=True))
    sampled = scaled.gather(1, token_id[:, None]).squeeze(1)
    at_ids = None if ids is None else scaled.gather(1, ids)
    top = torch.topk(scaled, min(top_k, scaled.shape[1]), dim=1) if top_k else None
    weights = scaled.exp() if entropy else scaled.exp_()
    mass = weights.sum(1)
    log_mass = mass.log()
    # sum p (log Z - s): weights become p * s in place; s is 0 at the most likely token and finite elsewhere.
    spread = weights.mul_(scaled).sum(1) if entropy else None
    return RowScores(
        sampled=(sampled - log_mass).float(),
        at_ids=None if at_ids is None else (at_ids - log_mass[:, None]).float(),
        top_ids=None if top is None else top.indices,
        top_logprobs=None if top is None else (top.values - log_mass[:, None]).float(),
        entropy=None if spread is None else (log_mass - spread / mass).float(),
    )
