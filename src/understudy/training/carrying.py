"""Rollouts that have not ended when their step closes: they go on in the next one, under the weights of that step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from understudy.environments.episode import Episode
from understudy.environments.openings import Written
from understudy.errors import CheckpointError
from understudy.protocols import Sample
from understudy.rollouts import Rollout
from understudy.training.collecting import Collector, Ended, Write
from understudy.training.ranks import OneRank, Ranks, gathered
from understudy.training.segments import SegmentSampler
from understudy.training.step import Progress

_FILE = "carried.json"
_REMEMBERED = 100
"""Steps; training is never so far behind sampling."""


@dataclass(eq=False)
class _Group:
    """Attempts at one problem.

    Args:
        born: the step whose problem it is, which keys its draws. since: the step that drew its first token.
        number: of the group in that step. open: attempts under way. done: those that have ended, by key.
    """

    born: int
    since: int
    number: int
    open: list[Episode]
    done: dict[int, Rollout] = field(default_factory=dict)


class Carrying:
    """Implements ``Collect``: a step draws a segment of every rollout, and gives the groups that have ended.

    A group goes on as a whole, so that its attempts are compared with each other. Its tokens keep the weight versions
    that drew them, and the draws of a rollout are those it would have had in one go. No rollout is older than
    ``most_steps`` steps: then it is drawn to its end, as all are in the last step. Nothing is dropped.

    Args:
        collector: says what is attempted; the student writes all of it. segments: the sampler behind its writer.
        segment_tokens: of a rollout, drawn in one step. most_steps: that a group is carried. total_steps: of the run.
        ranks: of the run; each has the groups of its own share, from their first token to their last.
    """

    def __init__(
        self,
        collector: Collector,
        segments: SegmentSampler,
        *,
        segment_tokens: int,
        most_steps: int,
        total_steps: int,
        ranks: Ranks | None = None,
    ) -> None:
        self._collector, self._segments = collector, segments
        self._write: Write = collector.write["student"]
        self._segment_tokens, self._most_steps, self._total_steps = segment_tokens, most_steps, total_steps
        self._ranks = ranks or OneRank()
        self._groups: list[_Group] = []
        self._left: dict[int, list[tuple[int, int]]] = {}

    def __call__(self, step: int, progress: Progress, *, ended: Ended | None = None) -> list[Rollout]:
        """The rollouts of the groups that end in ``step``, by group, with keys of this step."""
        numbers = [number for number in range(self._collector.prompts_per_step) if self._is_mine(number)]
        self._groups += [self._begun(step, step, number) for number in numbers]
        for born in sorted({group.born for group in self._groups}):
            for must_end in (True, False):
                chosen = [one for one in self._groups if one.born == born and self._must_end(one, step) == must_end]
                self._go_on(chosen, born, progress, ended, to_the_end=must_end)
        closed = [group for group in self._groups if not group.open]
        self._groups = [group for group in self._groups if group.open]
        self._left[step + 1] = [(group.born, group.number) for group in self._groups]
        self._left.pop(step - _REMEMBERED, None)
        return [rollout for group in closed for rollout in self._renumbered(group, step)]

    def carried(self, step: int) -> int:
        """Rollouts that ``step`` left for later steps on this rank, those of their groups that have ended with them."""
        return len(self._left.get(step + 1, ())) * self._collector.num_generations

    def save(self, folder: Path, done: int) -> None:
        """Which groups were under way after ``done`` steps, on any rank; a resumed run begins them anew: none is lost.

        A call of all ranks.
        """
        told = gathered(self._ranks, self._left.get(done, []))
        if self._ranks.rank == 0:
            (folder / _FILE).write_text(json.dumps(sorted(pair for left in told for pair in left)) + "\n")

    def load(self, folder: Path) -> None:
        """Take up again those of these groups that are this rank's; raises CheckpointError."""
        try:
            pairs = [(int(born), int(number)) for born, number in json.loads((folder / _FILE).read_text())]
            left = [(born, number) for born, number in pairs if self._is_mine(number)]
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError("the rollouts under way cannot be read", got=f"{folder / _FILE}: {error}") from error
        done = int(folder.name.rpartition("-")[2]) if folder.name.rpartition("-")[2].isdigit() else 0
        self._groups = [self._begun(born, done, number) for born, number in left]
        self._left = {done: left}

    def _is_mine(self, number: int) -> bool:
        return number % self._ranks.size == self._ranks.rank

    def _begun(self, born: int, since: int, number: int) -> _Group:
        task, count = self._collector.tasks_of(born)[number], self._collector.num_generations
        episodes = [Episode(task, number * count + attempt, number, attempt) for attempt in range(count)]
        return _Group(born, since, number, episodes)

    def _must_end(self, group: _Group, step: int) -> bool:
        return step - group.since >= self._most_steps or step == self._total_steps - 1

    def _go_on(
        self, groups: Sequence[_Group], born: int, progress: Progress, ended: Ended | None, *, to_the_end: bool
    ) -> None:
        episodes = [episode for group in groups for episode in group.open]
        if not episodes:
            return
        self._segments.most, self._segments.cut = None if to_the_end else self._segment_tokens, {}
        tell: dict[str, Ended] = {} if ended is None else {"ended": ended}
        rollouts = self._write(episodes, born, progress, **tell)
        made = {rollout.key: rollout for rollout in rollouts}
        for group in groups:
            still_open = [episode for episode in group.open if episode.key in self._segments.cut]
            group.done |= {one.key: made[one.key] for one in group.open if one.key not in self._segments.cut}
            group.open = [_begun_with(one, self._segments.cut[one.key]) for one in still_open]

    def _renumbered(self, group: _Group, step: int) -> list[Rollout]:
        """Its rollouts with keys and a group that no other of this step's batch has."""
        age = step - group.born
        keys, groups = age * self._collector.num_rollouts(), age * self._collector.prompts_per_step
        return [
            replace(one, key=one.key + keys, group=one.group + groups, num_given=None)
            for one in sorted(group.done.values(), key=lambda one: one.key)
        ]


def _begun_with(episode: Episode, more: Sample) -> Episode:
    """The attempt, to be gone on with after what has been drawn of it."""
    before = episode.opening[0].own if episode.opening else None
    own = more if before is None else _joined(before, more)
    return replace(episode, opening=(Written(own.completion_ids, own=own),))


def _joined(first: Sample, second: Sample) -> Sample:
    return Sample(
        completion_ids=torch.cat([first.completion_ids, second.completion_ids]),
        logprobs=torch.cat([first.logprobs, second.logprobs]),
        weight_version=torch.cat([first.weight_version, second.weight_version]),
        finish_reason=second.finish_reason,
    )
