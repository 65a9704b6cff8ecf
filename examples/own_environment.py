"""An environment of your own: guess again until it is right, several turns, rewarded by how soon.

    python examples/own_environment.py                                 # the testbed's digits, student and teacher
    python examples/own_environment.py RECIPE.yaml key.sub=value ...   # any recipe whose rows have a column `digit`

`reset` shows the first observation, `step` takes what the student wrote. `style="fresh"` replaces the prompt each turn,
`"growing"` adds to it. The same task and seed must give the same episode: a resumed run plays it again.
"""

from __future__ import annotations

import sys

import understudy as us
from understudy.protocols import Observation, Task

TRIES = 3


class GuessTheDigit:
    """The student is told whether its last guess was right; an earlier right guess is worth more."""

    def reset(self, task: Task, seed: int) -> Observation:
        """The first turn: which digit is shown."""
        self._digit, self._tries = str(task.columns.get("digit", seed % 10)), 0
        return Observation(prompt=f"digit {self._digit}:", style="fresh")

    def step(self, action: str) -> Observation:
        """Judge the first character; done when it is right, or after the last try."""
        self._tries += 1
        said, right = action[:1], action[:1] == self._digit
        done = right or self._tries == TRIES
        reward = 1.0 / self._tries if right else 0.0
        return Observation(
            prompt="" if done else f"said {said} no:",
            style="fresh",
            reward=reward,
            done=done,
            correct=right if done else None,
        )


def main(arguments: list[str]) -> us.Run:
    given = arguments or ["recipes/toy-turns.yaml", "name=own-environment", "steps=6", "rollout.max_turns=3"]
    recipe = us.load_recipe(given[0], [*given[1:], "evaluation.suites=[]"])
    run = us.train(recipe, environment=GuessTheDigit)
    print(f"{run.outcome.step} steps in a world of our own, {TRIES} tries each; every turn is in {run.path}/rollouts")
    return run


if __name__ == "__main__":
    main(sys.argv[1:])
