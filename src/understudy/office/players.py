"""Who plays: a model in this process, or one behind an address. Both tell what was said, turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from understudy.environments.tools import Rules, Toolbox
from understudy.protocols import Message, Task
from understudy.tasks.office import OfficeTask


@dataclass(frozen=True)
class Played:
    """An attempt, as the player saw it.

    Args:
        task_id: of the task. messages: everything that was shown and said, in order. num_turns: replies.
        num_tokens: written. num_prompt_tokens: read, each turn anew. num_cached_tokens: of these, from a cache.
        seconds: wall clock. error: why it came to no end of its own.
        figures: of the episode, such as calls.
    """

    task_id: str
    messages: Sequence[Message] = ()
    num_turns: int = 0
    num_tokens: int = 0
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    seconds: float = 0.0
    error: str | None = None
    figures: Mapping[str, object] = field(default_factory=dict)


OpenBox = Callable[[Task, int], Toolbox]


class Player(Protocol):
    """Plays tasks."""

    @property
    def name(self) -> str:
        """Who it is, for the results."""
        ...

    @property
    def model(self) -> str:
        """The model's own name, for the price table."""
        ...

    @property
    def rules(self) -> Rules:
        """Of an episode."""
        ...

    def play(
        self, tasks: Mapping[int, OfficeTask], open_box: OpenBox, *, ended: Callable[[Played], None], seed: int
    ) -> None:
        """Play all tasks, some at a time; ``ended`` is told of each in this thread, as soon as it is over.

        Args:
            tasks: by the number that keys their draws.
        Raises:
            ServerDownError: nobody answers any more; what was told of stays.
        """
        ...


def task_for(task: OfficeTask) -> Task:
    """The task as an environment meets it: nothing of its rubric."""
    return Task(problem=task.task_id, prompt=task.prompt, columns={"task_id": task.task_id}, domain=task.suite)
