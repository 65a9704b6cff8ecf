"""A mixture over the whole vocabulary, made from the hidden states of its teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.models.head import default_chunk_rows
from understudy.protocols import ScoreRequest, Scores


@dataclass(frozen=True, eq=False)
class MixedHead:
    """[M, H_1 + H_2 + ...] -> [M, V]: tau * log sum_i w_i softmax(z_i / tau), logits whose softmax is the mixture.

    Args:
        heads: of the teachers, with the width of their states. log_weights: of the teachers.
        temperature: tau, at which the mixture is taken; the logits are to be divided by the same.
    """

    heads: Sequence[tuple[Callable[[Tensor], Tensor], int]]
    log_weights: Tensor
    temperature: float

    @classmethod
    def of(cls, scores: Sequence[Scores], log_weights: Tensor, *, temperature: float) -> MixedHead:
        """The head over the states in ``scores``, each of which has them."""
        pairs = [(s.project, s.hidden.shape[1]) for s in scores if s.project is not None and s.hidden is not None]
        return cls(pairs, log_weights, temperature)

    def side_by_side(self, states: Sequence[Tensor]) -> Tensor:
        """[R, sum of H_i] in the widest precision among them, float32 at least."""
        dtype = torch.float32
        for one in states:
            dtype = torch.promote_types(dtype, one.dtype)
        return torch.cat([one.to(states[0].device, dtype) for one in states], dim=1)

    def __call__(self, states: Tensor) -> Tensor:
        """Logits of the mixture, before temperature."""
        total = states.new_tensor(-torch.inf)
        parts = states.split([width for _, width in self.heads], dim=1)
        for (head, _), part, log_weight in zip(self.heads, parts, self.log_weights.tolist(), strict=True):
            total = torch.logaddexp(total, (head(part) / self.temperature).log_softmax(1) + log_weight)
        return total * self.temperature


@dataclass(frozen=True, eq=False)
class OverVocabulary:
    """What takes the whole distribution to know; on the CPU, as in ``Scores``, None where nobody asked."""

    entropy: Tensor | None
    top_ids: Tensor | None
    top_logprobs: Tensor | None


def over_vocabulary(states: Tensor, head: Callable[[Tensor], Tensor], *, request: ScoreRequest) -> OverVocabulary:
    """Exact entropies and top k of softmax(head(states) / temperature), in chunks of rows."""
    vocab_size = head(states[:0]).shape[1]
    entropies, ids = [torch.zeros(0)], [torch.zeros(0, request.top_k, dtype=torch.int64)]
    logprobs = [torch.zeros(0, request.top_k)]
    for chunk in states.split(default_chunk_rows(vocab_size)) if request.entropy or request.top_k else ():
        whole = (head(chunk) / request.temperature).log_softmax(1)
        best = whole.topk(request.top_k, dim=1)
        entropies.append(_entropy(whole).cpu() if request.entropy else torch.zeros(0))
        ids.append(best.indices.cpu())
        logprobs.append(best.values.float().cpu())
    return OverVocabulary(
        entropy=torch.cat(entropies) if request.entropy else None,
        top_ids=torch.cat(ids) if request.top_k else None,
        top_logprobs=torch.cat(logprobs) if request.top_k else None,
    )


def _entropy(logprobs: Tensor) -> Tensor:
    """-sum p log p, with 0 log 0 = 0."""
    return -torch.where(logprobs > -torch.inf, logprobs.exp() * logprobs, 0.0).sum(1).float()
