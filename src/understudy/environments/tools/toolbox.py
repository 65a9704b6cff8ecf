"""What one episode offers an agent, how it may end, and what is made of it when it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from understudy.environments.tools.tool import Tool

Why = Literal["finished", "turns", "context"]
"""Why an episode ended: the agent said so, no turns are left, or its context is full."""


@dataclass(frozen=True)
class Ending:
    """How an episode ended.

    Args:
        why: ``finished`` where ``finish`` was accepted. arguments: those of that call, else none.
        num_turns: replies. max_turns: as many as there might have been. last_text: of the last reply.
    """

    why: Why
    arguments: Mapping[str, object]
    num_turns: int
    max_turns: int
    last_text: str = ""


@dataclass(frozen=True)
class Judgement:
    """What an attempt was worth.

    Args:
        reward: NaN where nothing grades it. correct: whether it solved its task; None where nothing decides.
        info: figures of the attempt, kept with the rollout.
    """

    reward: float = math.nan
    correct: bool | None = None
    info: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Toolbox:
    """One episode.

    Args:
        tools: that may be called. finish: the one among or beside them that ends the episode: its ``call`` raises
            ToolError where it cannot end yet; None for an episode that ends with a turn without a call.
        judge: what came of it. is_graded: whether it can say that. close: gives back what the episode holds.
        unfinished: figures of an episode that never comes to its judge, such as one whose context is full.
    """

    tools: tuple[Tool, ...]
    finish: Tool | None
    judge: Callable[[Ending], Judgement]
    is_graded: bool = True
    close: Callable[[], None] = lambda: None
    unfinished: Mapping[str, object] = field(default_factory=dict)

    @property
    def offered(self) -> tuple[Tool, ...]:
        """All tools that the agent is told of."""
        return self.tools if self.finish is None or self.finish in self.tools else (*self.tools, self.finish)
