"""Whether a small agent learns by OPD: success on unseen goals of the tiny shop and questions, before and after.

python -m benchmarks.tiny_worlds                     # both worlds, seeds 0 to 2; about 2 minutes of one core a run
python -m benchmarks.tiny_worlds --worlds tiny-shop --seeds 0 1 2 3 4

The models are the testbed's, made once; a seed draws goals, completions and the suite's attempts anew. An interval is
of one run's 300 goals, 95 %. Exits with 1 where an interval after touches the one before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy import api
from understudy.recipe import load_recipe

RECIPES = Path(__file__).parents[1] / "recipes"
WORLDS = ("tiny-shop", "tiny-search")


@dataclass(frozen=True)
class Share:
    """Success with its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Gain:
    """One run's suite: the teacher's success, and the student's before and after."""

    world: str
    seed: int
    teacher: Share
    before: Share
    after: Share

    @property
    def apart(self) -> bool:
        """Whether the student is better after, by intervals that do not touch."""
        return self.before.high < self.after.low


def run(world: str, seed: int, folder: Path, method: str) -> Gain:
    """Train one student as the world's recipe says, but by this method and seed."""
    overrides = [f"output={folder}", f"name={world}-{seed}", f"seed={seed}", f"objective={{method: {method}}}"]
    done = api.train(load_recipe(RECIPES / f"{world}.yaml", overrides))
    assert done.summary is not None, "nobody stopped it"
    figures = done.summary["suites"][world]
    shares = [
        Share(*(figures[when][key] for key in ("mean", "low", "high"))) for when in ("teacher", "before", "after")
    ]
    return Gain(world, seed, *shares)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--method", default="opd")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        gains = [run(world, seed, Path(folder), chosen.method) for world in chosen.worlds for seed in chosen.seeds]
    print(f"{'world':12} {'seed':>4}  {'teacher':22} {'before':22} after")
    for gain in gains:
        print(f"{gain.world:12} {gain.seed:4}  {gain.teacher!s:22} {gain.before!s:22} {gain.after}")
    return 0 if all(gain.apart for gain in gains) else 1


if __name__ == "__main__":
    sys.exit(main())
