"""What a household step costs, and whether the simulator is the real engine's equal.

python -m benchmarks.household                                          # steps a second, admissible actions included
python -m benchmarks.household --alfworld PYTHON                        # the same beside ALFWorld's PDDL engine
python -m benchmarks.household --differential 200 --alfworld PYTHON     # both play the same games; 1 if they disagree

PYTHON is an interpreter that has alfworld (pip install 'alfworld>=0.4'); this one needs none.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from understudy.environments.alfworld import WALKS, Alfworld, Comparison, Engines, compare, pddl_problem
from understudy.environments.household import Household, demonstrate, game_from, tasks, tiny_household_tasks
from understudy.environments.household.fixtures import fixtures_of
from understudy.protocols import Task

MAX_STEPS = 50
GROUP = 8
"""Attempts at one game, as a group of rollouts makes them."""
BOUND = 50_000
"""Steps a second that the simulator is to make."""


def recorded(games: Sequence[Task], *, seed: int) -> list[list[str]]:
    """For each game the actions of the expert, one in three of them any admissible one, at most ``MAX_STEPS``."""
    return [
        [move.action for move in demonstrate(task, seed=seed, off_plan=1 / 3, max_steps=MAX_STEPS).moves]
        for task in games
    ]


def stepping_seconds(games: Sequence[Task], walks: Sequence[Sequence[str]]) -> float:
    """Seconds of the steps alone; by this process's own clock, which others on the machine do not slow."""
    seconds = 0.0
    for task, walk in zip(games, walks, strict=True):
        world = Household()
        world.reset(task, 0)
        start = time.process_time()
        for action in walk:
            world.step(action)
        seconds += time.process_time() - start
    return seconds


def rates(games: Sequence[Task]) -> tuple[float, float]:
    """Steps a second of the steps alone, and with the resets; every game new to the simulator, in groups of eight."""
    attempts = [task for task in games for _ in range(GROUP)]
    by_seed = [recorded(games, seed=seed) for seed in range(GROUP)]
    walks = [by_seed[seed][number] for number in range(len(games)) for seed in range(GROUP)]
    fixtures_of.cache_clear()
    start = time.process_time()
    alone = stepping_seconds(attempts, walks)
    whole = time.process_time() - start
    num_steps = sum(len(walk) for walk in walks)
    return num_steps / alone, num_steps / whole


def engine_seconds(python: str, games: Sequence[Task]) -> float:
    """Seconds a step of the real engine, by its own process's clock; the resets are not counted."""
    engines, seconds, num_steps = Engines(python), 0.0, 0
    engine = engines.take()
    for task, walk in zip(games, recorded(games, seed=0), strict=True):
        engine.send({"open": {"pddl_problem": pddl_problem(game_from(task.columns)), "goal": task.prompt}})
        start = last = engine.receive()["cpu_seconds"]
        for action in walk:
            engine.send({"step": action})
            last = engine.receive()["cpu_seconds"]
        seconds, num_steps = seconds + last - start, num_steps + len(walk)
    engines.give(engine)
    engines.close()
    return seconds / num_steps


def speed(python: str | None, *, rounds: int, num_games: int) -> int:
    """Print the rates; 1 where the simulator is below its bound."""
    alone = 0.0
    for name, draw in (("tiny", tiny_household_tasks), ("full", tasks)):
        measured = [rates(draw("train", num_games, seed)) for seed in range(rounds)]
        alone = statistics.median(one for one, _ in measured)
        spread = f"{min(one for one, _ in measured):,.0f} to {max(one for one, _ in measured):,.0f}"
        whole = statistics.median(both for _, both in measured)
        print(f"{name}: {alone:,.0f} steps/s (median of {rounds}, {spread}); with resets {whole:,.0f}")
    if python is not None:
        each = engine_seconds(python, tasks("train", 6, 0))
        print(f"PDDL engine: {1000 * each:.1f} ms a step; the simulator makes {alone * each:,.0f} in that time")
    return int(alone < BOUND)


def differential(python: str, num_games: int, *, seed: int) -> int:
    """Compare game by game; 1 where there is any disagreement."""
    engines, total, start = Engines(python), Comparison(), time.monotonic()
    for number, task in enumerate(mixed(num_games, seed)):
        world = Alfworld(engines)
        compare(task, world, WALKS[number % len(WALKS)], max_steps=MAX_STEPS, into=total)
        world.close()
        if not (number + 1) % 20:
            print(f"{number + 1} games, {len(total.disagreements)} disagreements", flush=True)
    engines.close()
    print(
        f"{total.games} games ({', '.join(WALKS)} in turn), {total.steps} steps, {total.offered} actions on offer, "
        f"{total.won} won, {len(total.disagreements)} disagreements; {time.monotonic() - start:.0f} s"
    )
    for one in total.disagreements:
        print(one)
    return int(bool(total.disagreements))


def mixed(num_games: int, seed: int) -> list[Task]:
    """Games of all splits and both sizes in turn."""
    quarter = -(-num_games // 4)
    drawn = [tasks(split, quarter, seed) for split in ("train", "valid_seen", "valid_unseen")]
    drawn.append(tiny_household_tasks("train", quarter, seed, kinds=("place", "two", "clean", "heat", "cool")))
    return [task for four in zip(*drawn, strict=True) for task in four][:num_games]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or compare; the exit code says whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alfworld", metavar="PYTHON", help="an interpreter that has alfworld")
    parser.add_argument("--differential", type=int, metavar="GAMES", help="compare so many games")
    parser.add_argument("--seed", type=int, default=0, help="of the games to compare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--games", type=int, default=100, help="of a round")
    asked = parser.parse_args(arguments)
    if asked.differential is None:
        return speed(asked.alfworld, rounds=asked.rounds, num_games=asked.games)
    if asked.alfworld is None or asked.differential < 1:
        parser.error("--differential needs a number of games, 1 or more, and --alfworld PYTHON")
    return differential(asked.alfworld, asked.differential, seed=asked.seed)


if __name__ == "__main__":
    sys.exit(main())
