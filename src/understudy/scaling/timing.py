"""Seconds of the phases of a step on given pools, and what they come to in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """What the simulator needs.

    Args:
        together: all devices do each phase in turn; else samplers, teachers and the trainer are apart.
        sample: seconds of a sampler for its part of a step. samplers: how many. pieces: in which a part is handed on.
        score: seconds of one teacher for a step, if it were alone. teachers: how many.
        update, push, reward: seconds. staleness: how many steps old the weights that sample may be.
    """

    together: bool
    sample: float
    score: float
    update: float
    push: float = 0.0
    reward: float = 0.0
    samplers: int = 1
    teachers: int = 1
    pieces: int = 1
    staleness: int = 0

    @property
    def score_piece(self) -> float:
        """Seconds of one teacher for one piece."""
        return self.score / (self.samplers * self.pieces)

    @property
    def places(self) -> Mapping[str, int]:
        """How many tasks a pool does at one time."""
        if self.together:
            return {"all": 1}
        return {"sampler": self.samplers, "teacher": max(1, self.teachers), "trainer": 1}

    def pool(self, name: str) -> str:
        """Where that work is done."""
        return "all" if self.together else name

    @property
    def scoring_seconds(self) -> float:
        """Of a step, with all teachers at work."""
        return self.score / max(1, self.teachers)

    @property
    def steady(self) -> float:
        """Seconds of a step when the pipeline is full, in closed form.

        Together: the sum. Apart: no pool is faster than its own work, and ``staleness + 1`` steps are under way.
        """
        if self.together:
            return self.sample + self.reward + self.score + self.update + self.push
        # What is left to score when the last piece is written: that piece, or more where teachers are the slower.
        tail = max(self.scoring_seconds / self.pieces, self.scoring_seconds - self.sample * (1 - 1 / self.pieces))
        tail = max(tail, self.score_piece)
        whole = self.sample + self.reward + tail + self.update + self.push
        longest = max(self.sample, self.scoring_seconds, self.update + self.push)
        return max(longest, whole / (self.staleness + 1))
