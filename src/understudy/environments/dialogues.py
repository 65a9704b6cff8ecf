"""Rollouts of several turns that were written beforehand, in the form in which a student's own are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy.environments.episode import Episode
from understudy.errors import ShapeError
from understudy.models.chat import encode_completion, encode_continuation, encode_prompt
from understudy.rollouts import FinishReason, Origin, Rollout, Turn


@dataclass(frozen=True)
class WrittenTurn:
    """One turn of a growing text.

    Args:
        shown: what the environment showed. said: the reply, without its end token. is_taught: of origin DATA; where
            not, the reply is ENVIRONMENT's: it is read like an observation, and nobody learns to say it.
    """

    shown: str
    said: str
    is_taught: bool = True


def from_dialogues(
    tasks: Sequence[Episode],
    dialogues: Sequence[Sequence[WrittenTurn]],
    *,
    tokenizer: PreTrainedTokenizerBase,
    stop_id: int,
    max_length: int,
) -> list[Rollout]:
    """One ungraded rollout a task, whose every turn continues the text of the last, ended by ``stop_id``.

    Turns that do not fit into ``max_length`` tokens are left out.

    Raises:
        ShapeError: as many dialogues as tasks are needed.
    """
    if len(tasks) != len(dialogues):
        raise ShapeError("tasks and dialogues differ in number", got=f"{len(tasks)} and {len(dialogues)}")

    # The same few hundred sentences come back in every episode.
    @cache
    def opening(text: str) -> Tensor:
        return encode_prompt(tokenizer, text)

    @cache
    def continuation(text: str) -> Tensor:
        return encode_continuation(tokenizer, text, last_id=stop_id)

    @cache
    def reply(text: str) -> Tensor:
        return encode_completion(tokenizer, text, stop_id=stop_id)

    def turns_of(dialogue: Sequence[WrittenTurn]) -> tuple[Turn, ...]:
        return _turns(dialogue, opening=opening, continuation=continuation, reply=reply, max_length=max_length)

    return [_rollout(episode, turns_of(dialogue)) for episode, dialogue in zip(tasks, dialogues, strict=True)]


def _turns(
    dialogue: Sequence[WrittenTurn],
    *,
    opening: Callable[[str], Tensor],
    continuation: Callable[[str], Tensor],
    reply: Callable[[str], Tensor],
    max_length: int,
) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    so_far = torch.zeros(0, dtype=torch.int64)
    for written in dialogue:
        prompt = torch.cat([so_far, continuation(written.shown)]) if turns else opening(written.shown)
        said = reply(written.said)
        so_far = torch.cat([prompt, said])
        if so_far.numel() > max_length:
            break
        turns.append(_turn(written, prompt, said))
    return tuple(turns)


def _turn(written: WrittenTurn, prompt: Tensor, said: Tensor) -> Turn:
    return Turn(
        prompt_ids=prompt,
        completion_ids=said,
        origin=torch.full_like(said, Origin.DATA if written.is_taught else Origin.ENVIRONMENT),
        behaviour_logprob=torch.full(said.shape, float("nan")),
        weight_version=torch.full_like(said, -1),
        finish_reason=FinishReason.STOP,
        shown=written.shown,
    )


def _rollout(episode: Episode, turns: tuple[Turn, ...]) -> Rollout:
    return Rollout(
        key=episode.key,
        group=episode.group,
        problem=episode.task.problem,
        turns=turns,
        finish_reason=FinishReason.STOP,
        domain=episode.task.domain,
        extra=episode.task.columns,
    )
