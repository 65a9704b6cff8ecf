"""How an agent plays: games won, turns, invalid actions, loops, and how far it is from its teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.bench.agents.house import House
from understudy.bench.agents.results import Played
from understudy.bench.examining import distance_and_entropy
from understudy.bench.jobs import ENGINE
from understudy.build import model_named
from understudy.build.worlds import world_of
from understudy.engines.local import LocalScorer
from understudy.environments.agents import TALLY
from understudy.environments.episodes import Episode, play
from understudy.evaluation.examination import Examinee
from understudy.protocols import SamplingParams, Scorer, Task
from understudy.randomness import derived_seed
from understudy.rollouts import Rollout
from understudy.testbed import tasks
from understudy.testbed.tiny_household import ENVIRONMENT


@dataclass(frozen=True)
class Games:
    """The games that everybody plays.

    Args:
        split: ``eval``, or ``validation`` for choosing checkpoints and rates. count: the first so many.
    """

    split: str
    count: int


class Umpire:
    """Lets one agent after the other play; teachers are loaded once.

    Args:
        house: the games' house, and its teachers.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._world = world_of(ENVIRONMENT)
        self._teachers: Mapping[str, Scorer] = {
            name: LocalScorer(model_named(model, ENGINE), token_budget=ENGINE.micro_batch_tokens)
            for name, model in house.teachers.items()
        }

    def watch(self, examinee: Examinee, games: Games, *, seed: int) -> Played:
        """One attempt at each game at temperature 1; the same seed gives every agent the same random numbers."""
        found = tasks(self._house.dataset, games.split, limit=games.count)
        rollouts = self._play(examinee, found, seed=derived_seed(seed=seed, step=0, purpose=f"bench/{games.split}"))
        distances: dict[str, float] = {}
        entropy = None
        if examinee.scorer is not None:
            for name, teacher in self._teachers.items():
                distances[name], entropy = distance_and_entropy(rollouts, examinee.scorer, teacher)
        tallies = [_tally(rollout) for rollout in rollouts]
        return Played(
            won=tuple(int(bool(rollout.correct)) for rollout in rollouts),
            turns=tuple(len(rollout.turns) for rollout in rollouts),
            invalid=tuple(one.get("malformed", 0) + one.get("inadmissible", 0) for one in tallies),
            repeated=tuple(one.get("repeated", 0) for one in tallies),
            reverse_kl=distances,
            entropy=entropy,
        )

    def _play(self, examinee: Examinee, found: Sequence[Task], *, seed: int) -> list[Rollout]:
        assert self._world is not None, "a household is a world"
        return play(
            [Episode(task, key=number, group=number) for number, task in enumerate(found)],
            environment_factory=self._world,
            sampler=examinee.sampler,
            params=SamplingParams(
                max_completion_length=self._house.max_completion_length,
                temperature=1.0,
                stop_ids=examinee.stop_ids,
            ),
            tokenizer=examinee.tokenizer,
            seed=seed,
            step=0,
            max_turns=self._house.max_turns,
            max_length=examinee.max_length,
        )


def _tally(rollout: Rollout) -> Mapping[str, int]:
    found = rollout.extra.get(TALLY)
    return found if isinstance(found, Mapping) else {}
