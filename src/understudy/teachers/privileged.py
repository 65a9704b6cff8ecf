"""Views in which a teacher is told more than the student: another prompt before the same completion tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy.models.chat import encode_prompt
from understudy.protocols import Prompt, View, Viewed
from understudy.rollouts import Context, Rollout
from understudy.teachers.hints import Hint, last_moment
from understudy.teachers.insertion import Insert


@dataclass(frozen=True)
class Telling:
    """A hint and where it is put."""

    hint: Hint
    insert: Insert


@dataclass(frozen=True)
class Privilege:
    """What a teacher is told, and how its prompts become ids.

    Args:
        tellings: put into the prompt one after the other, those that there are. A rollout for which none of its own
            is there, is not read at all.
        tokenizer, chat_template_kwargs: of the student, whose prompts these are.
        max_length: the teacher's context; what is longer is not read.
    """

    tellings: Sequence[Telling]
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    chat_template_kwargs: Mapping[str, object] | None = None

    def view(self) -> View:
        """The view, to be read when its last hint is known."""
        return View(last_moment(telling.hint.after for telling in self.tellings), self.read)

    def read(self, rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
        """For each context its first prompt with the hints in it, then the rest of its ids unchanged.

        Only the tokens after that prompt have a place. None has one where there is nothing to tell, where nobody
        knows what the prompt was made of, and where the teacher's context is too short.

        Raises:
            DataError: the chat template refuses the messages.
        """
        groups: dict[int, list[Rollout]] = {}
        for rollout in rollouts:
            groups.setdefault(rollout.group, []).append(rollout)
        encoded: dict[str, Tensor] = {}  # the rollouts of a group often share a prompt
        viewed = []
        for context in contexts:
            rollout = rollouts[context.rollout]
            prompt = self._prompt(rollout, context, groups[rollout.group])
            if prompt is None:
                viewed.append(_nowhere(context))
                continue
            if repr(prompt) not in encoded:
                encoded[repr(prompt)] = self.encode(prompt)
            viewed.append(self._placed(context, rollout, encoded[repr(prompt)]))
        return viewed

    def told(self, prompt: Prompt, texts: Sequence[str | None]) -> Prompt | None:
        """The prompt with these texts in it, one a telling; None where none of the rollout's own is there."""
        pairs = list(zip(self.tellings, texts, strict=True))
        own = [text for telling, text in pairs if telling.hint.is_own]
        if own and not any(own):
            return None
        for telling, text in pairs:
            prompt = telling.insert(prompt, text) if text else prompt
        return prompt

    def encode(self, prompt: Prompt) -> Tensor:
        """[P] ids of a prompt."""
        return encode_prompt(self.tokenizer, prompt, chat_template_kwargs=self.chat_template_kwargs)

    def _prompt(self, rollout: Rollout, context: Context, group: Sequence[Rollout]) -> Prompt | None:
        shown = rollout.turns[int(context.turn[0])].shown if context.ids.numel() else None
        if shown is None:
            return None
        return self.told(shown, [telling.hint.read(rollout, group) for telling in self.tellings])

    def _placed(self, context: Context, rollout: Rollout, prompt_ids: Tensor) -> Viewed:
        before = rollout.turns[int(context.turn[0])].prompt_ids.numel()
        ids = torch.cat([prompt_ids, context.ids[before:]])
        if ids.numel() > self.max_length:
            return _nowhere(context)
        position = torch.arange(context.ids.numel()) + (prompt_ids.numel() - before)
        position[:before] = -1
        return Viewed(ids, position)


def _nowhere(context: Context) -> Viewed:
    return Viewed(context.ids[:0], torch.full_like(context.ids, -1))
