"""Agents with tools as an environment: played by any sampler, every token kept, only the agent's own trained on."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from understudy.environments.agents import TALLY
from understudy.environments.tools.conversation import Conversation, Said
from understudy.environments.tools.reading import Reader, tagged_json
from understudy.environments.tools.rules import Rules
from understudy.environments.tools.toolbox import Toolbox
from understudy.errors import EnvironmentFailedError
from understudy.protocols import Observation, Task


class ToolUse:
    """Implements ``protocols.Environment``: a growing chat in which the agent calls tools until it finishes.

    Args:
        open_box: the tools and the judge of one episode, from its task and seed. read: a reply into calls.
        rules: limits, and how the agent is spoken to.
    """

    def __init__(
        self, open_box: Callable[[Task, int], Toolbox], *, read: Reader = tagged_json, rules: Rules | None = None
    ) -> None:
        self._open_box, self._read, self._rules = open_box, read, rules or Rules()
        self._box: Toolbox | None = None
        self._conversation: Conversation | None = None
        self._begun: tuple[str, Future[Said]] | None = None

    def reset(self, task: Task, seed: int) -> Observation:
        """Open the task's tools and show the task; an episode left in the middle is closed."""
        if self._conversation is not None and self._box is not None:
            self._box.close()
        self._begun, self._box = None, self._open_box(task, seed)
        self._conversation = Conversation(task, self._box, self._rules)
        return self._shown(self._conversation, Said(self._conversation.opening()))

    def measure(self, num_tokens: int, window: int | None) -> None:
        """Be told how long the context has become, and how long it may."""
        if self._conversation is not None:
            self._conversation.measure(num_tokens, window)

    def prepare(self, action: str) -> None:
        """Begin to do what ``step`` will be given, so that the tools of a batch run side by side."""
        if self._conversation is not None:
            self._begun = action, _threads(os.getpid()).submit(self._conversation.answer, self._read(action))

    def step(self, action: str) -> Observation:
        """Do the calls in the reply.

        Raises:
            EnvironmentFailedError: no episode is running.
        """
        conversation, begun = self._conversation, self._begun
        self._begun = None
        if conversation is None:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        if begun is not None and begun[0] == action:
            said = begun[1].result()
        else:
            said = conversation.answer(self._read(action))
        if said.judgement is not None:
            self._conversation = None
        return self._shown(conversation, said)

    def _shown(self, conversation: Conversation, said: Said) -> Observation:
        worth = said.judgement
        undecided = False if self._box is not None and self._box.is_graded else None
        return Observation(
            prompt=said.prompt,
            style="growing" if worth is not None else said.style,
            reward=(0.0 if worth is None else worth.reward) - said.penalty,
            done=worth is not None,
            correct=undecided if worth is None else worth.correct,
            info={TALLY: conversation.tally},
        )


@cache
def _threads(_: int) -> ThreadPoolExecutor:
    """Tools spend their time in processes of their own; these threads of a process only wait for them."""
    return ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1)), thread_name_prefix="tools")
