"""The view of a teacher of another tokenizer: its own prompt and template, and between them the student's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.models.chat import encode_continuation
from understudy.protocols import View, Viewed
from understudy.rollouts import Context, Origin, Rollout
from understudy.teachers.alignment_pair import Pair, as_own
from understudy.teachers.privileged import Privilege

_ANY_LENGTH = 1 << 60


@dataclass(frozen=True, eq=False)
class AlignedReading:
    """How a teacher of another tokenizer reads rollouts.

    Args:
        pair: both tokenizers. privilege: what the teacher is told beyond the prompt, and how its prompts become ids;
            its tokenizer and ``max_length`` are the teacher's.
        one_to_one: keep only tokens that are one token of the teacher's too, as a top-k needs.
    """

    pair: Pair
    privilege: Privilege
    one_to_one: bool = False

    def view(self) -> View:
        """The view, to be read when what the teacher is told is known."""
        return View(self.privilege.view().after if self.privilege.tellings else "rollout", self.read)

    def read(self, rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
        """For each context its prompts as the teacher's template has them, between them the student's ids.

        A token without a counterpart in what the teacher reads has no place; nor has any where nobody knows what the
        prompt was made of, or where the teacher's context is too short.

        Raises:
            DataError: the teacher's chat template refuses the messages.
        """
        told = replace(self.privilege, max_length=_ANY_LENGTH).read(rollouts, contexts)
        pairs = zip(told, contexts, strict=True)
        return [self._viewed(one, context, rollouts[context.rollout]) for one, context in pairs]

    def _viewed(self, told: Viewed, context: Context, rollout: Rollout) -> Viewed:
        position = torch.full_like(context.ids, -1)
        if not told.ids.numel():
            return Viewed(told.ids, position)
        before = rollout.turns[int(context.turn[0])].prompt_ids.numel()
        prompt = told.ids[: told.ids.numel() - (context.ids.numel() - before)]
        parts = [as_own(prompt)]
        length = prompt.numel()
        for first, ids in self._following(context, rollout, before):
            if ids is None:
                break
            if first is not None:
                position[first : first + ids.numel()] = length + torch.arange(ids.numel())
            parts.append(ids)
            length += ids.numel()
        return self._readable(torch.cat(parts), position)

    def _following(self, context: Context, rollout: Rollout, before: int) -> Iterator[tuple[int | None, Tensor | None]]:
        """What comes after the first prompt, in order: where the student's ids begin, and they; or None and its own.

        Ends with a None in place of ids where nobody knows what a later prompt was made of.
        """
        asked = context.origin == Origin.ENVIRONMENT
        for number in context.turn[before:].unique_consecutive().tolist():
            own = context.turn == number
            own[:before] = False
            if bool((own & asked).any()):
                yield None, self._shown(rollout, number)
            places = (own & ~asked).nonzero().squeeze(1)
            if places.numel():
                yield int(places[0]), context.ids[places]

    def _shown(self, rollout: Rollout, number: int) -> Tensor | None:
        """What the environment said before turn ``number``, as the teacher's template has it."""
        shown = rollout.turns[number].shown
        if shown is None:
            return None
        said = rollout.turns[number - 1].completion_ids
        last = self.pair.special.get(int(said[-1])) if said.numel() else None
        kwargs = self.privilege.chat_template_kwargs
        return as_own(encode_continuation(self.privilege.tokenizer, shown, last_id=last, chat_template_kwargs=kwargs))

    def _readable(self, mixed: Tensor, position: Tensor) -> Viewed:
        aligned = self.pair.read(mixed)
        if aligned.ids.numel() > self.privilege.max_length:
            return Viewed(mixed[:0], torch.full_like(position, -1))
        places = [
            place if place is None or place.is_one_token or not self.one_to_one else None for place in aligned.places
        ]
        has_place = torch.tensor([place is not None for place in places] + [False])
        return Viewed(mixed, position.masked_fill(~has_place[position], -1))
