"""What the tests of composed scorers are made of: real tiny models, some that can give less, some that count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.conformance.tiny import tiny_model
from understudy.engines.local import LocalScorer
from understudy.models.load import describe
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores

SECOND_SEED = 5


def local(model: PreTrainedModel, *, vocab_size: int, **options: object) -> LocalScorer:
    return LocalScorer(replace(describe(model, None), vocab_size=vocab_size), **options)


def second_model(vocab_size: int = 19) -> PreTrainedModel:
    """Another teacher: other weights, another width of its states."""
    torch.manual_seed(SECOND_SEED)
    config = tiny_model(vocab_size=vocab_size).config
    config.hidden_size = 24
    return type(tiny_model())(config).eval()


@dataclass
class Telling:
    """A scorer that answers as another does, remembers what it was asked, and may hide what the other can."""

    inner: Scorer
    hides: frozenset[str] = frozenset()
    version: int | None = None
    asked: list[ScoreRequest] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        can = self.inner.capabilities
        return replace(can, **{name: False if name != "top_k" else 0 for name in self.hides})

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def num_rows(self) -> int:
        return sum(request.context.numel() for request in self.asked)

    def score(self, request: ScoreRequest) -> Scores:
        self.asked.append(request)
        scores = self.inner.score(request)
        return scores if self.version is None else replace(scores, version=self.version)


def rows(*places: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Columns ``context`` and ``position`` of rows at these places."""
    return torch.tensor([c for c, _ in places]), torch.tensor([p for _, p in places])
