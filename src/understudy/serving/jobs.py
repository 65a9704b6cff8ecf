"""Units of work for the thread that owns the model: contexts to score, completions to draw."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from understudy.protocols import SamplingParams, Scores
from understudy.randomness import derived_seed


@dataclass(frozen=True, eq=False)
class Next:
    """A token to draw after a scored context, from the forward pass that scores it.

    Args:
        params: temperature and truncation. seed: keys the draw.
    """

    params: SamplingParams
    seed: int


@dataclass(eq=False)
class ScoreJob:
    """One context to score.

    Args:
        model: the name asked for. tokens: [L] int64 ids.
        start: rows predict tokens start + 1 .. L - 1, R = L - 1 - start of them.
        ids: [R, K] int64 tokens to score beside those that stand there; None for none.
        top_k, entropy, hidden, temperature: as in ``ScoreRequest``. next: a token to draw after the last.
        gone: nobody waits for it any more. came: when, on the monotonic clock.
    """

    model: str
    tokens: Tensor
    start: int = 0
    ids: Tensor | None = None
    top_k: int = 0
    entropy: bool = False
    hidden: bool = False
    temperature: float = 1.0
    next: Next | None = None
    future: Future[Scored] = field(default_factory=Future)
    gone: bool = False
    came: float = field(default_factory=time.monotonic)

    @property
    def num_rows(self) -> int:
        """Rows asked for, R."""
        return self.tokens.numel() - 1 - self.start

    @property
    def key(self) -> tuple[object, ...]:
        """Jobs of one key go through the model together; nobody pays for the wishes of another kind."""
        return (self.model, self.temperature, self.top_k > 0, self.entropy, self.hidden or self.next is not None)

    @property
    def size(self) -> int:
        """Tokens that go through the model."""
        return self.tokens.numel()


@dataclass(frozen=True, eq=False)
class Scored:
    """The answer to a ``ScoreJob``.

    Args:
        scores: R rows. version: of the weights. next_id, next_logprob: of the drawn token, where one was asked for.
    """

    scores: Scores
    version: str
    next_id: int | None = None
    next_logprob: float | None = None


@dataclass(frozen=True)
class Stream:
    """Draws that a client keys itself, in the numbers of ``randomness``.

    Args:
        seed, step, rollout: the key. index: of the first draw.
    """

    seed: int
    step: int
    rollout: int
    index: int


@dataclass(eq=False)
class SampleJob:
    """Completions of one prompt.

    Args:
        model: the name asked for. prompt: [P] int64 ids. params: how to draw; its ``max_completion_length`` counts.
        seed: with the number of the completion it keys every draw. n: completions.
        top_logprobs: the most likely tokens to tell at each place; 0 for none.
        stream: where the draws of its one completion come from, in place of ``seed``.
        gone: nobody waits for it any more. came: when, on the monotonic clock.
    """

    model: str
    prompt: Tensor
    params: SamplingParams
    seed: int
    n: int = 1
    top_logprobs: int = 0
    stream: Stream | None = None
    future: Future[Sampled] = field(default_factory=Future)
    gone: bool = False
    came: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> tuple[object, ...]:
        """Jobs of one key are drawn together; their longest lengths may differ."""
        params = self.params
        return (self.model, params.temperature, params.top_p, params.top_k, params.stop_ids, self.numbers)

    @property
    def numbers(self) -> tuple[int, int]:
        """(seed, step) of its draws; ``draw_key`` keys those of a server's own under (0, 0)."""
        return (0, 0) if self.stream is None else (self.stream.seed, self.stream.step)

    @property
    def size(self) -> int:
        """Completions."""
        return self.n


@dataclass(frozen=True, eq=False)
class Completion:
    """One drawn completion.

    Args:
        ids: [C] int64. logprobs: [C] float32 nats under the distribution that sampled. stopped: by a stop id.
        top_ids, top_logprobs: [C, k] of the same distribution, where they were asked for.
    """

    ids: Tensor
    logprobs: Tensor
    stopped: bool
    top_ids: Tensor | None = None
    top_logprobs: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Sampled:
    """The answer to a ``SampleJob``; ``aborted`` where the server gave up on it.

    Args:
        completions: in order. version: of the weights.
    """

    completions: tuple[Completion, ...]
    version: str
    aborted: bool = False


Job = ScoreJob | SampleJob
Kind = Literal["score", "sample"]
KINDS: tuple[Kind, ...] = ("score", "sample")


def draw_key(seed: int, choice: int) -> int:
    """The number that keys every draw of completion ``choice`` of a request with this seed."""
    return derived_seed(seed=seed, step=choice, purpose="serve")
