"""How long an episode with tools may be, and what the agent is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from understudy.environments.tools.words import ChatWords, Words


@dataclass(frozen=True)
class Rules:
    """The limits of an episode.

    Args:
        max_turns: replies, summaries aside. count_from: "turns remaining" is said from here down.
        result_characters: a longer result is cut in the middle. penalty: taken from a turn's reward for each call that
            cannot be read, names no tool or has wrong arguments, and for a turn without a call.
        summarise_at: share of the context after which the agent writes a summary and goes on from it.
        max_summaries: at that share the episode ends once so many were written. words: how the agent is spoken to.
    Source: Stirrup's limits (30 turns, counted from 20, 20,000 characters, 0.7 of the window); the rest is our choice.
    """

    max_turns: int = 30
    count_from: int = 20
    result_characters: int = 20_000
    penalty: float = 0.0
    summarise_at: float = 0.7
    max_summaries: int = 3
    words: Words = field(default_factory=ChatWords)

    @property
    def max_replies(self) -> int:
        """Replies with the summaries among them: what a sampler has to allow."""
        return self.max_turns + self.max_summaries

    def remaining(self, num_turns: int) -> int | None:
        """Turns left after so many, where that is to be said."""
        left = self.max_turns - num_turns
        return left if left <= self.count_from else None

    def is_full(self, num_tokens: int, window: int | None) -> bool:
        """Whether a context of so many tokens is due for a summary; without a known window it never is."""
        return window is not None and num_tokens >= self.summarise_at * window

    def longest_result(self, window: int | None) -> int:
        """Characters of a result: what comes after the threshold must still fit (four characters taken for a token)."""
        if window is None:
            return self.result_characters
        return min(self.result_characters, max(200, int(2 * (1 - self.summarise_at) * window)))
