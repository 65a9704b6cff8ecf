"""Rollouts that a teacher begins: with the first tokens of its completion, or with the first turns of its episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from understudy.environments.episode import Episode
from understudy.environments.openings import prefix_of, replay_of
from understudy.objectives.context import PlanContext
from understudy.objectives.writing import ExpertReplay, TeacherPrefix
from understudy.randomness import uniform
from understudy.rollouts import FinishReason, Rollout
from understudy.training.collecting import Ended, Write
from understudy.training.written_once import world_of


@dataclass(frozen=True)
class PrefixLengths:
    """How many tokens each rollout of a step begins with.

    Args:
        prefix: the schedule. max_completion_length: of a whole completion. seed, total_steps: of the run.
    """

    prefix: TeacherPrefix
    max_completion_length: int
    seed: int
    total_steps: int

    def longest(self, step: int) -> int:
        """l_max(step)."""
        context = PlanContext(step=step, total_steps=self.total_steps, seed=self.seed)
        return self.prefix.longest(context, max_completion_length=self.max_completion_length)

    def of(self, step: int, key: int) -> int:
        """Of one rollout: l_max(step), or a keyed draw from 0 to it, both included."""
        longest = self.longest(step)
        if self.prefix.length == "full" or not longest:
            return longest
        draw = uniform(seed=self.seed, step=step, purpose="prefix length", rollout=key, index=0)
        return int(float(draw) * (longest + 1))


def with_prefix(write: Write, texts: Write, lengths: PrefixLengths) -> Write:
    """The writer's rollouts, each begun with a part of a teacher's text; in an episode of several turns, its first.

    Args:
        write: goes on. texts: gives each episode a teacher's rollout, the same at every step. lengths: of the parts.
    """

    def guided(
        episodes: Sequence[Episode],
        step: int,
        progress: Callable[[int], None] | None,
        *,
        ended: Ended | None = None,
    ) -> list[Rollout]:
        sizes = {episode.key: lengths.of(step, episode.key) for episode in episodes}
        begun = [_in_its_world(episode) for episode in episodes]
        asked = [replace(one, attempt=one.attempt % lengths.prefix.num_texts) for one in begun if sizes[one.key]]
        known = {text.key: text for text in texts(asked, step, progress)} if asked else {}
        return write([_begun(one, known.get(one.key), sizes[one.key]) for one in begun], step, progress, ended=ended)

    return guided


def with_replay(write: Write, experts: Write, replay: ExpertReplay, *, max_turns: int) -> Write:
    """The writer's rollouts, each begun with the first turns of a teacher's episode of the same task and world.

    Args:
        write: goes on. experts: gives each episode a teacher's rollout, the same at every step.
        max_turns: of any episode.
    """

    def guided(
        episodes: Sequence[Episode],
        step: int,
        progress: Callable[[int], None] | None,
        *,
        ended: Ended | None = None,
    ) -> list[Rollout]:
        begun = [_in_its_world(episode) for episode in episodes]
        if not replay.num_replayed(step, num_turns=max_turns):
            return write(begun, step, progress, ended=ended)
        # One teacher episode a task, shared by all attempts at it.
        known = {text.key: text for text in experts([replace(one, attempt=0) for one in begun], step, progress)}
        return write([_replayed(one, known[one.key], replay, step) for one in begun], step, progress, ended=ended)

    return guided


def _in_its_world(episode: Episode) -> Episode:
    """What a teacher said must fit what the student is shown, so both meet the task's own world, at every step."""
    return replace(episode, world=world_of(episode.task), opening=())


def _begun(episode: Episode, text: Rollout | None, length: int) -> Episode:
    return replace(episode, opening=prefix_of(text.turns[0], length)) if text is not None and text.turns else episode


def _replayed(episode: Episode, text: Rollout, replay: ExpertReplay, step: int) -> Episode:
    if text.finish_reason == FinishReason.FAILED:
        return episode
    count = replay.num_replayed(step, num_turns=len(text.turns))
    return replace(episode, opening=replay_of(text.turns[:count]))
