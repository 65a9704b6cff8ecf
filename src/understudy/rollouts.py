"""What a student did: turns of token ids exactly as sampled, and the contexts a model reads them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import torch
from torch import Tensor

from understudy.errors import ShapeError


class Origin(IntEnum):
    """Who chose a token. Masks come from origin, never from comparing ids."""

    PROMPT = 0
    STUDENT = 1
    TEACHER = 2
    DATA = 3
    ENVIRONMENT = 4


class FinishReason(StrEnum):
    """Why a completion or a rollout ended."""

    STOP = "stop"
    LENGTH = "length"
    ENVIRONMENT = "environment"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Turn:
    """One prompt and the completion written to it; ids are never decoded and tokenised again.

    Args:
        prompt_ids: [P] int64, the full prompt as the sampler read it.
        completion_ids: [C] int64; C may be 0.
        origin: [C] int64 of ``Origin`` values: who chose each completion token.
        behaviour_logprob: [C] float32 nats under the distribution that sampled (temperature and
            truncation included); NaN where no sampler of the student chose the token.
        weight_version: [C] int64, version of the student's weights that sampled; -1 where none did.
        finish_reason: why the completion ended.
        reward: the environment's reward for this turn.
        shown: what the environment showed, text or chat messages, of which ``prompt_ids`` were made (with what came
            before, where the context goes on); None where nobody knows.
        deed: what the environment says was done in it (of an agent: ``environments.agents.Deed``); None where nothing.
    """

    prompt_ids: Tensor
    completion_ids: Tensor
    origin: Tensor
    behaviour_logprob: Tensor
    weight_version: Tensor
    finish_reason: FinishReason
    reward: float = 0.0
    shown: str | Sequence[Mapping[str, object]] | None = None
    deed: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        lengths = {
            name: tuple(getattr(self, name).shape)
            for name in ("completion_ids", "origin", "behaviour_logprob", "weight_version")
        }
        if len(set(lengths.values())) != 1 or self.completion_ids.ndim != 1 or self.prompt_ids.ndim != 1:
            raise ShapeError("a turn's columns differ in shape", got=lengths, expected="four 1-D tensors of one length")


@dataclass(frozen=True, eq=False)
class Rollout:
    """One attempt at one task.

    Args:
        key: number that identifies this rollout within its step on every rank; keys its random draws.
        group: rollouts of one prompt share a group; a group lives on one rank.
        problem: identifier of the task.
        turns: in order; empty for an aborted rollout, which still counts in its group.
        reward: total reward; None when nothing graded it.
        correct: whether it solved its task; None when nothing decided.
        finish_reason: why it ended.
        domain: name of the data set or task family, for routing and per-domain metrics.
        extra: the data set's other columns, untouched.
        parsed: whether an answer could be read in it; None when nothing looked for one.
        num_given: tokens at its beginning that a teacher had written beforehand; None when nobody was to give any.
    """

    key: int
    group: int
    problem: str
    turns: tuple[Turn, ...]
    finish_reason: FinishReason
    reward: float | None = None
    correct: bool | None = None
    domain: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)
    parsed: bool | None = None
    num_given: int | None = None


@dataclass(frozen=True, eq=False)
class Context:
    """What one forward pass reads: one or several merged turns of one rollout.

    Args:
        ids: [L] int64.
        origin: [L] int64 of ``Origin`` values.
        turn: [L] int64, index in the rollout of the turn that token belongs to; the prompt that opens
            a turn belongs to that turn.
        behaviour_logprob: [L] float32, NaN where the student's sampler did not choose.
        weight_version: [L] int64, -1 where the student's sampler did not choose.
        rollout: index of the rollout in its batch.
    """

    ids: Tensor
    origin: Tensor
    turn: Tensor
    behaviour_logprob: Tensor
    weight_version: Tensor
    rollout: int


def contexts_of(rollouts: Sequence[Rollout]) -> list[Context]:
    """All contexts of a batch, in the order of its rollouts and turns.

    Consecutive turns share a context only when the next prompt begins exactly with the ids of the
    context so far; what the new prompt adds then has origin ENVIRONMENT.
    """
    return [context for index, rollout in enumerate(rollouts) for context in _contexts_of_one(rollout, index)]


def _contexts_of_one(rollout: Rollout, index: int) -> list[Context]:
    contexts: list[Context] = []
    for number, turn in enumerate(rollout.turns):
        if contexts and _begins_with(turn.prompt_ids, contexts[-1].ids):
            contexts[-1] = _extend(contexts[-1], turn, number)
        else:
            contexts.append(_extend(_empty_context(index), turn, number))
    return contexts


def _begins_with(ids: Tensor, prefix: Tensor) -> bool:
    return ids.numel() >= prefix.numel() and torch.equal(ids[: prefix.numel()], prefix)


def _empty_context(rollout: int) -> Context:
    none = torch.zeros(0, dtype=torch.int64)
    return Context(none, none, none, torch.zeros(0), none, rollout)


def _extend(context: Context, turn: Turn, number: int) -> Context:
    new = turn.prompt_ids[context.ids.numel() :]
    opening = Origin.ENVIRONMENT if context.ids.numel() else Origin.PROMPT
    length = new.numel() + turn.completion_ids.numel()
    return Context(
        ids=torch.cat([context.ids, new, turn.completion_ids]),
        origin=torch.cat([context.origin, torch.full_like(new, opening), turn.origin]),
        turn=torch.cat([context.turn, torch.full((length,), number, dtype=torch.int64)]),
        behaviour_logprob=torch.cat(
            [context.behaviour_logprob, torch.full((new.numel(),), float("nan")), turn.behaviour_logprob]
        ),
        weight_version=torch.cat([context.weight_version, torch.full_like(new, -1), turn.weight_version]),
        rollout=context.rollout,
    )
