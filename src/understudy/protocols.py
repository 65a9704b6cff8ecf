"""Every seam of the system on one page: who samples, who scores, who learns, and the world they act in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from understudy.plans import LossPlan
from understudy.rollouts import Context, FinishReason, Rollout
from understudy.tokens import Batch

# ---------------------------------------------------------------------------------------------- sampling


@dataclass(frozen=True)
class SamplingParams:
    """How completions are drawn.

    Args:
        max_completion_length: at most this many new tokens.
        temperature: logits are divided by it; 0 means greedy.
        top_p: nucleus mass kept, after temperature. top_k: tokens kept, 0 = all.
        stop_ids: a completion ends with the first of these, which it keeps.
    """

    max_completion_length: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class SampleRequest:
    """One completion to draw.

    Args:
        prompt_ids: [P] int64.
        key: number of the rollout; with (seed, step) it keys every draw of this completion.
        start_index: index of the completion's first draw in the key's stream (later turns of a rollout go on).
        max_new_tokens: at most this many, where that is fewer than the parameters' ``max_completion_length``.
    """

    prompt_ids: Tensor
    key: int
    start_index: int = 0
    max_new_tokens: int | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One drawn completion.

    Args:
        completion_ids: [C] int64, the stop token included.
        logprobs: [C] float32 nats under the distribution that sampled (temperature and truncation included).
        weight_version: [C] int64, the weights that made each token.
        finish_reason: STOP or LENGTH.
    """

    completion_ids: Tensor
    logprobs: Tensor
    weight_version: Tensor
    finish_reason: FinishReason


@runtime_checkable
class Sampler(Protocol):
    """Draws completions. The draw of a request depends on (weights, prompt, params, seed, step, key) alone."""

    def sample(
        self,
        requests: Sequence[SampleRequest],
        params: SamplingParams,
        *,
        seed: int,
        step: int,
        progress: Callable[[int], None] | None = None,
        ended: Callable[[int, Sample], None] | None = None,
    ) -> list[Sample]:
        """One sample a request, in order.

        Args:
            progress: told how many more have ended.
            ended: given each request's place and its sample once, as soon as that completion has ended.
        Raises:
            ContextLengthError: a prompt leaves no room for a token.
        """

    def load_weights(self, source: Path | None, version: int) -> None:
        """Take the weights at ``source`` (None: they are shared in memory) and call them ``version``."""


# ---------------------------------------------------------------------------------------------- scoring


@dataclass(frozen=True)
class Capabilities:
    """What a scorer can give. Top-k and at-ids do not imply each other.

    Args:
        sampled: log-prob of the token that stands there. top_k: most likely ids, at most this many (0 = none).
        at_ids: log-probs at ids the caller chooses, at most this many a row (0 = none).
        entropy: exact entropy. hidden: last hidden states with a head. text: it can write completions.
        vocab_size: where it is known, a wish for more than so many ids is a wish for all of them.
    """

    sampled: bool = True
    top_k: int = 0
    at_ids: int = 0
    entropy: bool = False
    hidden: bool = False
    text: bool = False
    vocab_size: int | None = None

    def width(self, k: int) -> int:
        """How many ids a wish for the top ``k`` gives."""
        return k if self.vocab_size is None else min(k, self.vocab_size)


@dataclass(frozen=True, eq=False)
class ScoreRequest:
    """What to score. Every row asks for the distribution that predicts ``contexts[context][position]``.

    Args:
        contexts: [L] int64 ids each.
        context: [R] int64, which context a row belongs to. position: [R] int64, at least 1.
        ids: [R, K] int64, tokens to score beside the one that stands there; None for none.
        top_k: how many of the most likely tokens to return; 0 for none.
        entropy: return exact entropies. hidden: return last hidden states.
        temperature: logits are divided by it before the softmax.
        routes: one a context, the name of the scorer to ask where there are several; empty where nobody chose.
    """

    contexts: Sequence[Tensor]
    context: Tensor
    position: Tensor
    ids: Tensor | None = None
    top_k: int = 0
    entropy: bool = False
    hidden: bool = False
    temperature: float = 1.0
    routes: Sequence[str] = ()

    def rows(self, rows: Tensor) -> ScoreRequest:
        """The same of these rows ([M] int64) only."""
        ids = None if self.ids is None else self.ids[rows]
        return replace(self, context=self.context[rows], position=self.position[rows], ids=ids)


@dataclass(frozen=True, eq=False)
class Scores:
    """Exactly R rows, aligned to the request; float32 nats of the full shared-vocabulary softmax, on the CPU.

    Args:
        sampled: [R]. at_ids: [R, K]. top_ids, top_logprobs: [R, top_k], most likely first; -inf fills a row that has
            no more, and counts for nothing.
        entropy: [R]. hidden: [R, H], on the scorer's device. project: [M, H] -> [M, V] logits, with ``hidden``.
        fingerprint: says which weights and tokenizer answered. version: their version.
    """

    sampled: Tensor
    fingerprint: str
    version: int
    at_ids: Tensor | None = None
    top_ids: Tensor | None = None
    top_logprobs: Tensor | None = None
    entropy: Tensor | None = None
    hidden: Tensor | None = None
    project: Callable[[Tensor], Tensor] | None = None


@runtime_checkable
class Scorer(Protocol):
    """Gives log-probabilities of given tokens. Teachers, references and the policy itself are scorers."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can give."""

    @property
    def fingerprint(self) -> str:
        """Says which weights and tokenizer answer."""

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order.

        Raises:
            CapabilityError: the request asks for more than ``capabilities``.
        """


@dataclass(frozen=True, eq=False)
class Viewed:
    """What a scorer reads in place of one context.

    Args:
        ids: [L'] int64. position: [L] int64, where each token of the context stands in ``ids``; -1 where it
            does not: such a token gets no row.
    """

    ids: Tensor
    position: Tensor


@dataclass(frozen=True)
class View:
    """A map from rollouts to the ids a scorer reads: another prompt, more context, another template.

    Args:
        after: the earliest moment at which ``read`` may run: when a rollout has ended, when its reward is known,
            or when the whole group is.
        read: one ``Viewed`` a context, in order.
    """

    after: Literal["rollout", "reward", "group"]
    read: Callable[[Sequence[Rollout], Sequence[Context]], Sequence[Viewed]]


# ---------------------------------------------------------------------------------------------- learning

Weights = Literal["live", "initial", "ema"]


@dataclass(frozen=True)
class UpdateResult:
    """What one optimiser step did.

    Args:
        sums: each term's loss, already normalised by the plan.
        grad_norm: global norm before clipping. learning_rate: the rate that was used.
        num_tokens: tokens that went through the model.
    """

    sums: Mapping[str, float]
    grad_norm: float
    learning_rate: float
    num_tokens: int

    @property
    def loss(self) -> float:
        """Sum of the terms."""
        return sum(self.sums.values())


@runtime_checkable
class Policy(Scorer, Protocol):
    """The student: a scorer that learns from plans. It packs and micro-batches inside; it never normalises or gates."""

    @property
    def version(self) -> int:
        """Version of the live weights."""

    def update(self, batch: Batch, plan: LossPlan) -> UpdateResult:
        """One optimiser step on the plan's loss.

        Raises:
            NonFiniteError: a term's loss or the gradient is NaN or infinite; the weights are left untouched.
        """

    def scorer(self, weights: Weights) -> Scorer:
        """The policy as a scorer with its live, initial, or exponentially averaged weights."""

    def publish(self) -> int:
        """Hand the live weights to the samplers; returns their new version."""

    def save(self, folder: Path) -> None:
        """Write model (Hugging Face form, or adapter) and trainer state into an empty folder."""

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote; the next updates equal those of a run never interrupted."""


# ---------------------------------------------------------------------------------------------- environments

Message = Mapping[str, object]
Prompt = str | Sequence[Message]


@dataclass(frozen=True)
class Observation:
    """What an environment shows.

    Args:
        prompt: text or chat messages. With style ``fresh`` it is the whole next prompt; with ``growing`` it is
            what is added to the conversation so far.
        style: whether the next turn starts a fresh prompt or goes on in the same context.
        reward: of the action just taken. done: the episode is over, ``prompt`` is not shown.
        correct: whether the task was solved; None while undecided.
        info: figures for the log. Text under ``feedback`` at the end is kept in the rollout's ``extra``.
    """

    prompt: Prompt
    style: Literal["fresh", "growing"] = "fresh"
    reward: float = 0.0
    done: bool = False
    correct: bool | None = None
    info: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One problem.

    Args:
        problem: identifier, unique in its data set. prompt: text or chat messages.
        columns: every column of its row, untouched. domain: name of its data set or family.
    """

    problem: str
    prompt: Prompt
    columns: Mapping[str, object] = field(default_factory=dict)
    domain: str = ""


@runtime_checkable
class Environment(Protocol):
    """One episode at a time: reset with a task and a seed, then step with the student's words."""

    def reset(self, task: Task, seed: int) -> Observation:
        """Start an episode; the same task and seed give the same episode."""

    def step(self, action: str) -> Observation:
        """Take the student's completion as text; the observation carries reward and done."""
