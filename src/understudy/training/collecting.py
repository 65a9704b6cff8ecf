"""Who writes what in a step: which problems, which writer for each, and the rollouts that come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from understudy.environments.episodes import Episode
from understudy.objectives.writing import ON_POLICY, RolloutMix
from understudy.protocols import Task
from understudy.randomness import uniform
from understudy.rollouts import Rollout
from understudy.training.order import Order, one_set

Writer = Literal["student", "teacher", "data"]


Ended = Callable[[Rollout], None]
"""Told of a rollout, ungraded, while others are still being written."""


class Write(Protocol):
    """Writes one rollout an episode, in order."""

    def __call__(
        self,
        episodes: Sequence[Episode],
        step: int,
        progress: Callable[[int], None] | None,
        /,
        *,
        ended: Ended | None = None,
    ) -> list[Rollout]:
        """``progress`` is told how many more have ended, ``ended`` of those that are known before the last has."""
        ...


@dataclass(frozen=True)
class Collector:
    """Makes the rollouts of a step; the same step gives the same problems, writers and keys at any time.

    Args:
        tasks: the training set. seed: of the run. prompts_per_step: problems a step.
        num_generations: attempts at each; a completion that stands in the data is taken once.
        write: a function for each writer in use. mix: their shares. shuffle: a new order each epoch.
        order: of each epoch, for a mixture; None takes every task once an epoch.
        from_data: the writers whose completions stand in the data.
        rank, num_ranks: of so many processes this one makes the groups whose number is ``rank`` modulo ``num_ranks``.
    """

    tasks: Sequence[Task]
    seed: int
    prompts_per_step: int
    num_generations: int
    write: dict[Writer, Write] = field(default_factory=dict)
    mix: RolloutMix = ON_POLICY
    shuffle: bool = True
    order: Order | None = None
    from_data: frozenset[Writer] = frozenset({"data"})
    rank: int = 0
    num_ranks: int = 1

    def __post_init__(self) -> None:
        if self.order is None:
            plain = one_set(len(self.tasks), seed=self.seed, shuffle=self.shuffle)
            object.__setattr__(self, "order", plain)

    def __call__(
        self, step: int, progress: Callable[[int], None] | None = None, *, ended: Ended | None = None
    ) -> list[Rollout]:
        """This rank's rollouts of ``step``, by group; see ``Write`` for who is told what."""
        by_writer: dict[Writer, list[Episode]] = {}
        for group, task in enumerate(self.tasks_of(step)):
            if group % self.num_ranks != self.rank:
                continue
            writer = self.writer_of(step, group)
            attempts = 1 if writer in self.from_data else self.num_generations
            first = group * self.num_generations
            assigned = by_writer.setdefault(writer, [])
            assigned.extend(Episode(task, first + attempt, group, attempt) for attempt in range(attempts))
        tell: dict[str, Ended] = {} if ended is None else {"ended": ended}
        rollouts = [
            rollout
            for writer, assigned in by_writer.items()
            for rollout in self.write[writer](assigned, step, progress, **tell)
        ]
        return sorted(rollouts, key=lambda rollout: rollout.key)

    def num_rollouts(self) -> int:
        """How many rollouts a step has at most."""
        return self.prompts_per_step * self.num_generations

    def tasks_of(self, step: int) -> list[Task]:
        """The problems of ``step``: epochs follow each other without a gap, each in its own order."""
        assert self.order is not None
        count = len(self.order(0))
        first = step * self.prompts_per_step
        places = [divmod(place, count) for place in range(first, first + self.prompts_per_step)]
        return [self.tasks[self.order(epoch)[place]] for epoch, place in places]

    def writer_of(self, step: int, group: int) -> Writer:
        """Who writes the completions of one problem: one keyed draw against the shares."""
        draw = float(uniform(seed=self.seed, step=step, purpose="writer", rollout=group, index=0))
        if draw < self.mix.student:
            return "student"
        # The last share takes what rounding leaves.
        return "teacher" if self.mix.teacher and (draw < 1 - self.mix.data or not self.mix.data) else "data"
