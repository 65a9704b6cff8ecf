"""The most likely tokens at each place of a completion, under the very distribution that it was drawn from."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.engines.local import LocalScorer
from understudy.models.sampling_distribution import kept_tokens
from understudy.protocols import SamplingParams, ScoreRequest

_ROWS = 256


def top_tokens(
    scorer: LocalScorer, prompt: Tensor, completion: Tensor, params: SamplingParams, *, k: int
) -> tuple[Tensor, Tensor]:
    """Ids [C, k] and log-probs [C, k] float32, most likely first; -inf for tokens that could not be drawn.

    The sampler keeps one log-prob a token, so this is a second pass, over the completion only where it was asked for.

    Args:
        prompt, completion: [P] and [C] int64. params: temperature and truncation; temperature 0 tells those of 1.
    """
    tokens = torch.cat([prompt, completion])
    rows = torch.arange(prompt.numel(), tokens.numel())
    request = ScoreRequest([tokens], torch.zeros_like(rows), rows, hidden=True)
    scores = scorer.score(request)
    assert scores.hidden is not None and scores.project is not None
    found = []
    with torch.no_grad():
        for states in scores.hidden.split(_ROWS):
            logprobs = drawn_logprobs(scores.project(states).float(), params)
            found.append(logprobs.topk(min(k, logprobs.shape[-1]), dim=-1))
    return torch.cat([top.indices.cpu() for top in found]), torch.cat([top.values.cpu() for top in found])


def drawn_logprobs(logits: Tensor, params: SamplingParams) -> Tensor:
    """[M, V] log-probs of what ``draw`` draws from: temperature, then top-k, then top-p, renormalised."""
    if params.temperature == 0:
        return logits.log_softmax(-1)
    scaled = (logits - logits.amax(-1, keepdim=True)) / params.temperature  # in ``draw``'s order, to the same digits
    if params.top_p < 1 or 0 < params.top_k < logits.shape[-1]:
        kept = kept_tokens(scaled.exp(), top_k=params.top_k, top_p=params.top_p)
        scaled = scaled.masked_fill(~kept, float("-inf"))
    return scaled.log_softmax(-1)
