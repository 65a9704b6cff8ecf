"""The decoding loop: who is admitted when, one draw a row and step, and word of every completion that ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from understudy.models.sampling_cache import can_join
from understudy.models.sampling_distribution import draw
from understudy.models.sampling_prefill import Prefix, read_prompts
from understudy.models.sampling_slots import ENDED_SHARE, Forward, Slots
from understudy.models.sampling_work import Work
from understudy.protocols import Sample


@dataclass(frozen=True)
class Seating:
    """How rows are filled.

    Args:
        rows: completions decoded together, at most. refill: give the place of a row that has ended to a request that
            waits; otherwise the next wave begins when the last row has ended.
    """

    rows: int
    refill: bool

    def room(self, alive: int) -> int:
        """How many requests may come in now that so many rows are alive.

        >>> Seating(16, refill=True).room(15), Seating(16, refill=True).room(14), Seating(16, refill=False).room(3)
        (0, 2, 0)
        """
        free = self.rows - alive
        due = free * ENDED_SHARE >= self.rows if self.refill else alive == 0
        return free if due else 0


def seating(num_requests: int, rows: int, *, ends_vary: bool) -> Seating:
    """Refilled slots where requests wait and rows end apart, else waves (measured: docs/design/012-sampler.md).

    >>> seating(64, 64, ends_vary=True), seating(65, 64, ends_vary=True), seating(999, 64, ends_vary=False)
    (Seating(rows=64, refill=False), Seating(rows=64, refill=True), Seating(rows=64, refill=False))
    """
    return Seating(rows=rows, refill=num_requests > rows and ends_vary)


def decode(
    model: nn.Module,
    work: Work,
    places: Sequence[int],
    *,
    forward: Forward,
    how: Seating,
    vocab_size: int,
    device: torch.device,
    version: int,
    told: Callable[[Sequence[tuple[int, Sample]]], None],
) -> None:
    """Draw the completions of the requests at ``places``.

    Args:
        model: a causal language model in evaluation mode, which reads the prompts. forward: reads one token a row.
        how: who is decoded together. vocab_size: logits past it are cut. device, version: of the model.
        told: gets the place and the sample of each completion, as soon as it has ended.
    Raises:
        NonFiniteError: the model's logits are NaN.
    """
    waiting, slots, kept = deque(places), Slots(work, device=device, version=version), None
    while waiting or slots.num_alive:
        if slots.cache is not None and not can_join(slots.cache):
            how = Seating(how.rows, refill=False)
        if waiting and how.room(slots.num_alive):
            kept = _admit(model, slots, waiting, rows=how.rows, kept=kept)
        drawn = draw(slots.logits[:, :vocab_size].float(), slots.uniform, work.params)
        if ended := slots.record(drawn):
            told(ended)
        if slots.num_alive:
            slots.advance(forward)


def _admit(model: nn.Module, slots: Slots, waiting: deque[int], *, rows: int, kept: Prefix | None) -> Prefix | None:
    """Fill the free rows; gives the prompt that further waiting requests share, where there is one."""
    prompts = slots.work.prompts
    if not slots.num_alive:
        slots.let_go()  # of the wave before: what comes would stand beside it
    while waiting and slots.num_alive < rows:
        chosen = list(_next(waiting, rows - slots.num_alive, prompts, kept))
        prefix = kept
        if prefix is None or prompts[chosen[0]] not in prefix.row:
            distinct = list(dict.fromkeys(prompts[place] for place in chosen))
            prefix = read_prompts(model, distinct, reserve=slots.work.longest, device=slots.device)
        shared = waiting and prompts[waiting[0]] in prefix.row
        kept = prefix.only(prompts[waiting[0]]) if shared else None
        slots.admit(prefix, chosen)
    return kept


def _next(waiting: deque[int], most: int, prompts: Sequence[tuple[int, ...]], kept: Prefix | None) -> Iterator[int]:
    """Take at most so many requests off the queue: those with the kept prompt, or any where there is none."""
    known = kept is not None and prompts[waiting[0]] in kept.row
    while waiting and most and (not known or (kept is not None and prompts[waiting[0]] in kept.row)):
        yield waiting.popleft()
        most -= 1
