"""Rollouts that the data holds: gold or teacher completions in the form in which a student's own are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from understudy.environments.episode import Episode
from understudy.errors import ContextLengthError, DataError, ShapeError
from understudy.models.chat import encode_completion, encode_prompt
from understudy.rollouts import FinishReason, Origin, Rollout, Turn


def from_completions(
    tasks: Sequence[Episode],
    completions: Sequence[str],
    *,
    tokenizer: PreTrainedTokenizerBase,
    stop_id: int | None = None,
    max_length: int | None = None,
    chat_template_kwargs: Mapping[str, object] | None = None,
    author: Origin = Origin.DATA,
) -> list[Rollout]:
    """One rollout of ``author`` a task, ungraded: its prompt and its written completion, ended by ``stop_id``.

    Args:
        tasks: the problems, with keys and groups. completions: the text to each.
        tokenizer: of the student. stop_id: closes every completion; None: the tokenizer's EOS.
        max_length: the student's context; a longer completion is cut there, loses its stop and ends with LENGTH.
        chat_template_kwargs: passed to the chat template. author: DATA, or TEACHER where a teacher wrote the text.
    Raises:
        ShapeError: as many completions as tasks are needed. ContextLengthError: a prompt fills the context.
        DataError: a prompt cannot be encoded, or no id is known that closes a completion.
    """
    stop_id = tokenizer.eos_token_id if stop_id is None else stop_id
    if stop_id is None:
        raise DataError(
            "nothing closes a completion",
            got="a tokenizer without an EOS token",
            remedy="Set the tokenizer's eos_token, or name the id that ends a completion.",
        )
    if len(tasks) != len(completions):
        raise ShapeError("tasks and completions differ in number", got=f"{len(tasks)} and {len(completions)}")
    return [
        _rollout(
            episode,
            _turn(
                episode,
                completion,
                tokenizer=tokenizer,
                stop_id=stop_id,
                max_length=max_length,
                chat_template_kwargs=chat_template_kwargs,
                author=author,
            ),
        )
        for episode, completion in zip(tasks, completions, strict=True)
    ]


def _turn(
    episode: Episode,
    completion: str,
    *,
    tokenizer: PreTrainedTokenizerBase,
    stop_id: int,
    max_length: int | None,
    chat_template_kwargs: Mapping[str, object] | None,
    author: Origin,
) -> Turn:
    prompt_ids = encode_prompt(tokenizer, episode.task.prompt, chat_template_kwargs=chat_template_kwargs)
    whole = encode_completion(tokenizer, completion, stop_id=stop_id)
    room = whole.numel() if max_length is None else max_length - prompt_ids.numel()
    if room < 1:
        raise ContextLengthError(
            "a prompt leaves no room for its completion",
            got=f"{prompt_ids.numel()} tokens in task {episode.task.problem}",
            expected=f"fewer than the context of {max_length} tokens",
            remedy="Shorten the prompt, filter the data, or use a model with a longer context.",
        )
    ids = whole[:room]
    return Turn(
        prompt_ids=prompt_ids,
        completion_ids=ids,
        origin=torch.full_like(ids, author),
        behaviour_logprob=torch.full(ids.shape, float("nan")),
        weight_version=torch.full_like(ids, -1),
        finish_reason=FinishReason.STOP if ids.numel() == whole.numel() else FinishReason.LENGTH,
        shown=episode.task.prompt,
    )


def _rollout(episode: Episode, turn: Turn) -> Rollout:
    return Rollout(
        key=episode.key,
        group=episode.group,
        problem=episode.task.problem,
        turns=(turn,),
        finish_reason=turn.finish_reason,
        domain=episode.task.domain,
        extra=episode.task.columns,
    )
