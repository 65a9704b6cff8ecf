"""An episode with tools, turn by turn: calls are done, results go back, and the agent says when it has finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from understudy.environments.agents import Tally
from understudy.environments.tools.calling import Done, done
from understudy.environments.tools.reading import Reading
from understudy.environments.tools.rules import Rules
from understudy.environments.tools.toolbox import Ending, Judgement, Toolbox, Why
from understudy.protocols import Prompt, Task


@dataclass(frozen=True)
class Said:
    """What the agent is shown next.

    Args:
        prompt: empty at the end. style: whether it goes on in the same context. penalty: of the turn just taken.
        ending, judgement: once the episode is over.
    """

    prompt: Prompt
    style: Literal["fresh", "growing"] = "growing"
    penalty: float = 0.0
    ending: Ending | None = None
    judgement: Judgement | None = None


class Conversation:
    """One episode, whoever speaks in it: a sampler whose text is read into calls, or a server with structured calls.

    Args:
        task: what is to be done. toolbox: what with. rules: its limits.
    """

    def __init__(self, task: Task, toolbox: Toolbox, rules: Rules) -> None:
        self._task, self._toolbox, self._rules = task, toolbox, rules
        self._num_turns, self._num_summaries, self._is_summarising = 0, 0, False
        self._num_tokens = 0
        self._window: int | None = None
        self._tally, self._counts = Tally(), {"calls": 0, "failed": 0, "idle": 0, "summaries": 0}

    @property
    def tally(self) -> Tally:
        """What the episode has come to so far; the judgement's figures are in it at the end."""
        return replace(self._tally, world={**self._toolbox.unfinished, **self._counts, **self._tally.world})

    def opening(self, summary: str | None = None) -> Prompt:
        """What the agent is shown first, or goes on from."""
        remaining = self._rules.remaining(self._num_turns)
        return self._rules.words.opening(self._task, self._toolbox.offered, remaining=remaining, summary=summary)

    def measure(self, num_tokens: int, window: int | None) -> None:
        """Be told how many tokens the context has with the last reply, and how many the agent can read."""
        self._num_tokens, self._window = num_tokens, window

    def answer(self, reading: Reading) -> Said:
        """Do what the reply says.

        Raises:
            Exception: a tool or the judge has failed (not ToolError, which is told to the agent).
        """
        if self._is_summarising:
            self._is_summarising = False
            self._counts["summaries"] += 1
            return Said(self.opening(reading.text), style="fresh")
        self._num_turns += 1
        did = done(reading, self._toolbox, longest=self._rules.longest_result(self._window))
        penalty = self._tallied(reading, did)
        why = self._why(reading, did)
        return self._going_on(did, penalty) if why is None else self._ended(why, reading, did.finish or {}, penalty)

    def _going_on(self, did: Done, penalty: float) -> Said:
        self._is_summarising = self._rules.is_full(self._num_tokens, self._window)
        self._num_summaries += self._is_summarising
        remaining = self._rules.remaining(self._num_turns)
        prompt = self._rules.words.answers(did.answers, remaining=remaining, summarise=self._is_summarising)
        return Said(prompt, penalty=penalty)

    def _ended(self, why: Why, reading: Reading, arguments: Mapping[str, object], penalty: float) -> Said:
        ending = Ending(why, arguments, self._num_turns, self._rules.max_turns, reading.text)
        judgement = self._toolbox.judge(ending)
        self._toolbox.close()
        told = {"why": why, "finished": why == "finished", **judgement.info}
        self._tally = replace(self._tally, won=judgement.correct, world=told)
        return Said("", penalty=penalty, ending=ending, judgement=judgement)

    def _why(self, reading: Reading, did: Done) -> Why | None:
        """Why it ends now; None where it goes on."""
        is_silent = self._toolbox.finish is None and not (reading.calls or reading.mistakes)
        if did.finish is not None or is_silent:
            return "finished"
        if self._num_turns >= self._rules.max_turns:
            return "turns"
        is_full = self._rules.is_full(self._num_tokens, self._window)
        return "context" if is_full and self._num_summaries >= self._rules.max_summaries else None

    def _tallied(self, reading: Reading, did: Done) -> float:
        """Count the turn; its penalty."""
        is_idle = not (reading.calls or reading.mistakes) and self._toolbox.finish is not None
        unread, refused = did.num_faults("unread"), did.num_faults("refused")
        penalty = self._rules.penalty * (unread + refused + is_idle)
        self._counts["calls"] += len(reading.calls)
        self._counts["failed"] += did.num_faults("failed")
        self._counts["idle"] += is_idle
        self._tally = replace(
            self._tally,
            steps=self._num_turns,
            malformed=self._tally.malformed + unread,
            inadmissible=self._tally.inadmissible + refused,
            cut=self._tally.cut + did.num_cut,
            penalties=self._tally.penalties + penalty,
        )
        return penalty
