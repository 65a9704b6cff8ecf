"""The rows that are decoded together: one token a row and step; ended rows leave, waiting ones take their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from understudy.errors import NonFiniteError
from understudy.models.sampling_cache import Source, join
from understudy.models.sampling_distribution import Drawn
from understudy.models.sampling_prefill import Prefix
from understudy.models.sampling_work import Work
from understudy.protocols import Sample
from understudy.rollouts import FinishReason

# Ended rows leave once they are 1/8 of the batch: taking them out copies the cache, about the price of a decode step.
ENDED_SHARE = 8


@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of each row; every tensor's first axis is the row.

    Args:
        place: [b] the request's. prompt_length, limit: [b] tokens. count: [b] tokens drawn so far.
        start: [b] first column of the cache that is the row's own. alive: [b] bool.
        uniform: [b, S + 1] float64 draws. ids, logprobs: [b, S + 1] drawn so far, and what a row drew after its end.
    """

    place: Tensor
    prompt_length: Tensor
    limit: Tensor
    count: Tensor
    start: Tensor
    alive: Tensor
    uniform: Tensor
    ids: Tensor
    logprobs: Tensor

    def take(self, rows: Tensor) -> Rows:
        """These rows ([n] int64) only."""
        return Rows(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: Rows) -> Rows:
        """The rows of both."""
        return Rows(*(torch.cat([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


Forward = Callable[..., Tensor]
"""``sampling_prefill.next_logits`` of a model, or what gives the same faster."""


class Slots:
    """A batch of completions while it is decoded; every row's text ends at the cache's last column.

    Args:
        work: whose requests they are. device: where the model is. version: of its weights.
    """

    def __init__(self, work: Work, *, device: torch.device, version: int) -> None:
        self.work, self.device, self.version = work, device, version
        self.num_alive = 0
        self.logits = torch.zeros(0)
        self.cache: Any = None
        self._rows = self._fresh([], 0)
        self._length = self._reserve = 0
        self._columns = torch.zeros(0)
        self._stop_ids = torch.tensor(sorted(work.params.stop_ids), dtype=torch.int64, device=device)

    @property
    def num_rows(self) -> int:
        """Rows that are decoded, ended ones that have not left yet among them."""
        return self._rows.place.numel()

    @property
    def uniform(self) -> Tensor:
        """[b] float64, the next draw of each row."""
        return self._rows.uniform.gather(1, self._rows.count[:, None]).squeeze(1)

    def let_go(self) -> None:
        """Forget the keys, values and logits of rows that have all ended."""
        self.cache, self.logits = None, torch.zeros(0)

    def admit(self, prefix: Prefix, places: Sequence[int]) -> None:
        """Rows for the requests at ``places``, whose prompts ``prefix`` has read; rows that have ended leave.

        The rows that stay must have been read as far as they were drawn. The prefix is used up.
        """
        rows = torch.tensor([prefix.row[self.work.prompts[place]] for place in places], device=self.device)
        fresh = self._fresh(places, prefix.length)
        sources, logits = [Source(prefix.cache, rows)], prefix.logits[rows]
        length = int(fresh.prompt_length.max())
        if self.num_alive:
            stay = self._rows.alive.nonzero().squeeze(1)
            old = self._rows.take(stay)
            length = max(length, self._length - int(old.start.min()))
            sources.insert(0, Source(self.cache, stay))
            logits = torch.cat([self.logits[stay], logits])
            fresh = self._ending_at(old, self._length, length).joined(self._ending_at(fresh, prefix.length, length))
        else:
            fresh = self._ending_at(fresh, prefix.length, length)
        self._rows, self.logits = fresh, logits
        self.num_alive = self.num_rows
        self._join(sources, length)

    def _fresh(self, places: Sequence[int], length: int) -> Rows:
        """Rows of requests whose prompts end at column ``length``."""
        work, count = self.work, len(places)
        lengths = torch.tensor([len(work.prompts[place]) for place in places], dtype=torch.int64)
        number = torch.tensor(list(places), dtype=torch.int64)
        limit = torch.tensor([work.limits[place] for place in places], dtype=torch.int64)
        uniform = work.uniform(places) if places else torch.zeros(0, work.num_steps + 1, dtype=torch.float64)
        room = (count, work.num_steps + 1)
        return Rows(
            place=number.to(self.device),
            prompt_length=lengths.to(self.device),
            limit=limit.to(self.device),
            count=torch.zeros(count, dtype=torch.int64, device=self.device),
            start=(length - lengths).to(self.device),
            alive=torch.ones(count, dtype=torch.bool, device=self.device),
            uniform=uniform.to(self.device),
            ids=torch.zeros(room, dtype=torch.int64, device=self.device),
            logprobs=torch.zeros(room, device=self.device),
        )

    @staticmethod
    def _ending_at(rows: Rows, old: int, new: int) -> Rows:
        return replace(rows, start=rows.start + (new - old))

    def _join(self, sources: Sequence[Source], length: int) -> None:
        """The cache of ``sources``, of as many columns as the rows of the batch may still need."""
        remaining = int((self._rows.limit - self._rows.count).max())
        self._reserve = min(length + remaining, self.work.longest)
        self.cache = join(sources, length=length, reserve=self._reserve)
        self._length = length
        self._columns = torch.arange(self._reserve + 1, device=self.device)

    def advance(self, forward: Forward) -> None:
        """Read each row's last token; ended rows leave when they are many, or when the columns are used up."""
        ended = self.num_rows - self.num_alive
        if ended * ENDED_SHARE >= self.num_rows or self._length == self._reserve:
            self._drop_ended()
        rows = self._rows
        last = rows.count[:, None] - 1
        self._length += 1
        self.logits = forward(
            rows.ids.gather(1, last),
            mask=self._columns[: self._length] >= rows.start[:, None],
            position=rows.prompt_length[:, None] + last,
            cache=self.cache,
        )

    def _drop_ended(self) -> None:
        stay = self._rows.alive.nonzero().squeeze(1)
        rows = self._rows.take(stay)
        length = self._length - int(rows.start.min())
        self._rows = self._ending_at(rows, self._length, length)
        self._join([Source(self.cache, stay)], length)

    def record(self, drawn: Drawn) -> list[tuple[int, Sample]]:
        """Keep what was drawn for the rows still alive; gives the completions that ended with it.

        Raises:
            NonFiniteError: a log-probability of theirs is not a number.
        """
        rows = self._rows
        rows.ids.scatter_(1, rows.count[:, None], drawn.ids[:, None])
        rows.logprobs.scatter_(1, rows.count[:, None], drawn.logprobs[:, None])
        rows.count.add_(rows.alive)
        stopped = torch.isin(drawn.ids, self._stop_ids)
        ended = rows.alive & (stopped | (rows.count == rows.limit))
        rows.alive.logical_and_(ended.logical_not())
        before, self.num_alive = self.num_alive, int(rows.alive.sum())
        return [] if self.num_alive == before else self._samples(rows.take(ended), stopped[ended])

    def _samples(self, ended: Rows, stopped: Tensor) -> list[tuple[int, Sample]]:
        counts = ended.count.tolist()
        ids, logprobs = ended.ids.cpu(), ended.logprobs.cpu()
        samples = [
            Sample(
                completion_ids=ids[row, :count].clone(),
                logprobs=_finite(logprobs[row, :count].clone(), self.version),
                weight_version=torch.full((count,), self.version),
                finish_reason=FinishReason.STOP if stop else FinishReason.LENGTH,
            )
            for row, (count, stop) in enumerate(zip(counts, stopped.tolist(), strict=True))
        ]
        return list(zip(ended.place.tolist(), samples, strict=True))


def _finite(logprobs: Tensor, version: int) -> Tensor:
    if bool(logprobs.isfinite().all()):
        return logprobs
    raise NonFiniteError(
        "the sampler's log-probabilities are not finite",
        got=f"weights version {version}",
        remedy="The weights have diverged or overflow in this dtype; go back to an earlier checkpoint.",
    )
