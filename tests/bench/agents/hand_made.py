"""Runs of agents with known figures, and a house of tiny untaught models."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.bench.agents.house import House
from understudy.bench.agents.results import AgentResult, Course, Played
from understudy.testbed import resolve_model
from understudy.testbed.models import Architecture, Schooling

TINY = Architecture(layers=1, width=16, heads=2, kv_heads=1, head_width=8, mlp_width=16)


def played(won: Sequence[int], *, kl: float = 1.0, repeated: int = 0, turns: int = 4) -> Played:
    each = (turns,) * len(won)
    return Played(
        won=tuple(won),
        turns=each,
        invalid=(1,) * len(won),
        repeated=(repeated,) * len(won),
        reverse_kl={"recovery": kl, "clean": 2 * kl},
        entropy=0.5,
    )


def run(
    label: str,
    seed: int,
    won: Sequence[int],
    *,
    kl: float = 0.5,
    repeated: int = 0,
    teacher: str = "recovery",
    ratio: Sequence[float | None] = (),
) -> AgentResult:
    """A run whose best checkpoint won every game in half the turns."""
    steps = tuple(range(0, 4 * len(ratio), 4))
    course = Course(validated=(0, 4), success=(0.0, 0.5), turns=(9.0, 8.0), invalid=(0.2, 0.1), loops=(0.3, 0.4))
    return AgentResult(
        label=label,
        seed=seed,
        recipe={"optimizer": {"learning_rate": 1e-3}},
        teacher=teacher,
        final=played(won, kl=kl, repeated=repeated),
        best=played([1] * len(won), turns=2),
        best_step=4,
        course=course.model_copy(update={"reverse_kl": (1.0, kl), "ratio_at": steps, "ratio": tuple(ratio)}),
        seconds=3.0,
    )


def start(seed: int, won: Sequence[int]) -> AgentResult:
    return AgentResult(label="vanilla", seed=seed, final=played(won))


def tiny_house() -> House:
    """Student and teacher that learned for two steps, in short episodes."""
    schoolings = {
        f"testbed/tiny-{seed}": Schooling(
            TINY, foreign_share=0.0, steps=2, batch_size=4, warmup_steps=1, seed=seed, subject="household-tiny"
        )
        for seed in range(2)
    }
    student, teacher = (str(resolve_model(name, schoolings=schoolings)) for name in schoolings)
    return House(student=student, teachers={"recovery": teacher}, prompts=2, generations=2, max_turns=3)
