"""Plays office tasks with a model in this process, through the loop that training uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from understudy.environments.agents import TALLY
from understudy.environments.episodes import Episode, play
from understudy.environments.tools import Reader, Rules, ToolUse
from understudy.evaluation.examination import Examinee
from understudy.models.chat import decode
from understudy.office.players import OpenBox, Played, task_for
from understudy.protocols import Message, SamplingParams
from understudy.rollouts import FinishReason, Rollout
from understudy.tasks.office import OfficeTask


@dataclass(frozen=True, eq=False)
class LocalPlayer:
    """Implements ``Player``.

    Args:
        name: of the model. examinee: it. rules: of an episode. read: a reply into calls.
        temperature, top_p, max_completion_length: how it is sampled. concurrency: tasks in one batch.
        window: tokens of context, where fewer than the model's.
    """

    name: str
    examinee: Examinee
    rules: Rules
    read: Reader
    temperature: float = 0.0
    top_p: float = 1.0
    max_completion_length: int = 4096
    concurrency: int = 1
    window: int | None = None

    @property
    def model(self) -> str:
        """Its name."""
        return self.name

    def play(
        self, tasks: Mapping[int, OfficeTask], open_box: OpenBox, *, ended: Callable[[Played], None], seed: int
    ) -> None:
        """Batches of ``concurrency`` tasks; a batch is as slow as its slowest."""
        numbers = list(tasks)
        for start in range(0, len(numbers), self.concurrency):
            batch = {number: tasks[number] for number in numbers[start : start + self.concurrency]}
            begun = time.monotonic()
            told: set[int] = set()

            def tell(rollout: Rollout, begun: float = begun, told: set[int] = told) -> None:
                if rollout.key not in told:
                    told.add(rollout.key)
                    ended(self._played(rollout, time.monotonic() - begun))

            for rollout in self._rollouts(batch, open_box, tell, seed=seed):
                tell(rollout)

    def _rollouts(
        self, tasks: Mapping[int, OfficeTask], open_box: OpenBox, tell: Callable[[Rollout], None], *, seed: int
    ) -> Sequence[Rollout]:
        one, window = self.examinee, self.examinee.max_length
        return play(
            [Episode(task_for(task), key=number, group=number) for number, task in tasks.items()],
            environment_factory=partial(ToolUse, open_box, read=self.read, rules=self.rules),
            sampler=one.sampler,
            params=SamplingParams(
                max_completion_length=min(self.max_completion_length, window - 1),
                temperature=self.temperature,
                top_p=self.top_p,
                stop_ids=one.stop_ids,
            ),
            tokenizer=one.tokenizer,
            seed=seed,
            step=0,
            # One more than there can be: the environment ends each episode, and has its say before it is told of.
            max_turns=self.rules.max_replies + 1,
            max_length=window if self.window is None else min(window, self.window),
            ended=tell,
            chat_template_kwargs=one.chat_template_kwargs,
        )

    def _played(self, rollout: Rollout, seconds: float) -> Played:
        error = rollout.extra.get("environment_error") if rollout.finish_reason is FinishReason.FAILED else None
        tally = rollout.extra.get(TALLY)
        return Played(
            task_id=rollout.problem,
            messages=self._messages(rollout),
            num_turns=len(rollout.turns),
            num_tokens=sum(turn.completion_ids.numel() for turn in rollout.turns),
            num_prompt_tokens=sum(turn.prompt_ids.numel() for turn in rollout.turns),
            seconds=seconds,
            error=None if error is None else str(error),
            figures=dict(tally) if isinstance(tally, Mapping) else {},
        )

    def _messages(self, rollout: Rollout) -> list[Message]:
        messages: list[Message] = []
        for turn in rollout.turns:
            shown = turn.shown or []
            messages += [{"role": "user", "content": shown}] if isinstance(shown, str) else list(shown)
            messages.append({"role": "assistant", "content": decode(self.examinee.tokenizer, turn.completion_ids)})
        return messages
