"""A small event simulator: tasks that wait for others, and for a place in a pool."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from understudy.scaling.timing import Timing


@dataclass(frozen=True)
class Task:
    """Work that takes ``seconds`` of one place in ``pool`` once all tasks ``after`` it names are done."""

    pool: str
    seconds: float
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """What came of the tasks.

    Args:
        ends: when each was done, in seconds. busy: seconds of work by pool, over all its places.
    """

    ends: Sequence[float]
    busy: Mapping[str, float] = field(default_factory=dict)


def run_tasks(tasks: Sequence[Task], places: Mapping[str, int]) -> Timeline:
    """Run tasks in order of readiness, ties in order of writing; a pool works on as many at a time as it has places."""
    waits = [len(task.after) for task in tasks]
    followers: dict[int, list[int]] = {}
    for number, task in enumerate(tasks):
        for earlier in task.after:
            followers.setdefault(earlier, []).append(number)
    free = dict(places)
    queues: dict[str, list[tuple[float, int]]] = {name: [] for name in places}
    ends, busy, order = [0.0] * len(tasks), dict.fromkeys(places, 0.0), count()
    events: list[tuple[float, int, int]] = []

    def begin(pool: str, now: float) -> None:
        while free[pool] and queues[pool]:
            _, number = heapq.heappop(queues[pool])
            free[pool] -= 1
            heapq.heappush(events, (now + tasks[number].seconds, next(order), number))

    for number, task in enumerate(tasks):
        if not waits[number]:
            heapq.heappush(queues[task.pool], (0.0, number))
    for pool in places:
        begin(pool, 0.0)
    while events:
        now, _, number = heapq.heappop(events)
        ends[number] = now
        pool = tasks[number].pool
        free[pool] += 1
        busy[pool] += tasks[number].seconds
        for follower in followers.get(number, ()):
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(queues[tasks[follower].pool], (now, follower))
                begin(tasks[follower].pool, now)
        begin(pool, now)
    return Timeline(ends, busy)


def simulate(timing: Timing, *, steps: int) -> Timeline:
    """``steps`` training steps; ``ends`` are those of the steps alone.

    Where one pool does everything, its devices take each phase together, one after the other. Where there are three,
    every replica of the samplers writes its part in pieces; a piece is scored as soon as it is written and rewarded,
    by the first free teacher; the trainer begins when all of a step is scored, and sends its weights when it is done.
    A sampler begins a step when it has ended the one before, and the weights of ``staleness`` steps earlier have come.
    """
    tasks: list[Task] = []
    published: list[int] = []
    last_piece: dict[int, int] = {}
    for step in range(steps):
        needed = step - 1 - timing.staleness
        weights = (published[needed],) if needed >= 0 else ()
        scored = []
        for replica in range(timing.samplers):
            for piece in range(timing.pieces):
                before = last_piece.get(replica)
                after = (*(() if before is None else (before,)), *(weights if piece == 0 else ()))
                last_piece[replica] = _add(tasks, Task(timing.pool("sampler"), timing.sample / timing.pieces, after))
                rewarded = _add(tasks, Task("world", timing.reward, (last_piece[replica],)))
                scored.append(_add(tasks, Task(timing.pool("teacher"), timing.score_piece, (rewarded,))))
        # Weights are sent before the trainer turns to the next step, however long that one's rollouts have waited.
        updated = _add(tasks, Task(timing.pool("trainer"), timing.update, (*scored, *published[-1:])))
        published.append(_add(tasks, Task(timing.pool("trainer"), timing.push, (updated,))))
    timeline = run_tasks(tasks, {**timing.places, "world": len(tasks)})
    return Timeline([timeline.ends[number] for number in published], timeline.busy)


def steady_seconds(timing: Timing, *, steps: int = 12) -> float:
    """Seconds of a step once the pipeline is full: over the second half of the simulated steps."""
    ends = simulate(timing, steps=steps).ends
    half = steps // 2
    return (ends[-1] - ends[half - 1]) / (steps - half)


def _add(tasks: list[Task], task: Task) -> int:
    tasks.append(task)
    return len(tasks) - 1
