"""What was written of a completion beforehand, and the turn that comes of it when the speaker goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.protocols import Sample, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason, Origin, Turn


@dataclass(frozen=True, eq=False)
class Written:
    """The beginning of one completion.

    Args:
        ids: [C] int64. finish_reason: why the completion ended there; None where the speaker goes on with it.
        own: the student's own sample, in an earlier step, that the ids are of; None where a teacher wrote them.
    """

    ids: Tensor
    finish_reason: FinishReason | None = None
    own: Sample | None = None

    @property
    def num_given(self) -> int:
        """Tokens that a teacher wrote."""
        return self.ids.numel() if self.own is None else 0


NOTHING = Written(torch.zeros(0, dtype=torch.int64))


def prefix_of(text: Turn, length: int) -> tuple[Written, ...]:
    """The opening that is the first ``length`` tokens of a text; all of it, with its own end, where it has no more."""
    if length <= 0:
        return ()
    has_ended = length >= text.completion_ids.numel()
    return (Written(text.completion_ids[:length], text.finish_reason if has_ended else None),)


def replay_of(turns: Sequence[Turn]) -> tuple[Written, ...]:
    """The opening that repeats these turns."""
    return tuple(Written(turn.completion_ids, turn.finish_reason) for turn in turns)


def fitted(given: Written, room: int) -> Written:
    """What is given, cut to ``room`` tokens; where nothing is left of the room, the completion ends with LENGTH."""
    ids = given.ids[:room]
    is_full = ids.numel() < given.ids.numel() or (ids.numel() == room and given.finish_reason is None)
    return replace(given, ids=ids, finish_reason=FinishReason.LENGTH) if is_full else given


def rest_of(prompt_ids: Tensor, given: Written, params: SamplingParams, *, key: int, start_index: int) -> SampleRequest:
    """The request for what the speaker adds to a beginning. A token has the draw of its place, whoever wrote before."""
    count = given.ids.numel()
    if not count:
        return SampleRequest(prompt_ids, key, start_index)
    return SampleRequest(
        prompt_ids=torch.cat([prompt_ids, given.ids]),
        key=key,
        start_index=start_index + count,
        max_new_tokens=params.max_completion_length - count,
    )


def turn_of(prompt_ids: Tensor, given: Written, sample: Sample | None, *, author: Origin) -> Turn:
    """What was given, of origin TEACHER or the student's own, then what ``author`` said; no sample where that was all.

    Only the student's own tokens have a behaviour log-prob and a weight version.
    """
    reason = given.finish_reason if sample is None else sample.finish_reason
    assert reason is not None, "a beginning that nobody went on with has an end"
    said = given.ids[:0] if sample is None else sample.completion_ids
    behaviour = torch.full((given.ids.numel() + said.numel(),), math.nan)
    version = torch.full(behaviour.shape, -1)
    if given.own is not None:
        count = given.ids.numel()
        behaviour[:count], version[:count] = given.own.logprobs[:count], given.own.weight_version[:count]
    began = Origin.TEACHER if given.own is None else Origin.STUDENT
    if sample is not None and author == Origin.STUDENT:
        behaviour[given.ids.numel() :] = sample.logprobs
        version[given.ids.numel() :] = sample.weight_version
    return Turn(
        prompt_ids=prompt_ids,
        completion_ids=torch.cat([given.ids, said]),
        origin=torch.cat([torch.full_like(given.ids, began), torch.full_like(said, author)]),
        behaviour_logprob=behaviour,
        weight_version=version,
        finish_reason=reason,
    )
