"""The teacher's success when it goes on with the student's answers: is it still a teacher there?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.build import Assembly
from understudy.doctor.failures import LEAST_SOLVED, Continued
from understudy.doctor.probe import Probe, answers
from understudy.evaluation.statistics import wilson_interval
from understudy.protocols import Environment
from understudy.recipe import Recipe
from understudy.rollouts import Rollout

SHARES = (0.0, 0.25, 0.5, 0.75)
"""Of each answer that the teacher is given."""


def continued_by_teacher(
    recipe: Recipe, assembly: Assembly, probe: Probe, *, environment: Callable[[], Environment]
) -> list[Continued]:
    """Greedy answers of the teacher from growing beginnings; none where it cannot write or nothing decides success."""
    teacher = assembly.teacher
    if teacher is None or recipe.rollout.max_turns > 1 or any(one.correct is None for one in probe.rollouts):
        return []
    found = []
    for share in SHARES:
        rollouts = answers(
            recipe, teacher, probe.problems, environment=environment, begun=probe.rollouts, share=share, temperature=0
        )
        found.append(continued(share, before=probe.rollouts, after=rollouts))
    return found


def continued(share: float, *, before: Sequence[Rollout], after: Sequence[Rollout]) -> Continued:
    """The student's answers (``before``) against those that the teacher made of their beginnings (``after``)."""
    solved = [bool(one.correct) for one in after]
    kept = [now for now, then in zip(solved, before, strict=True) if then.correct]
    lost = wilson_interval(kept.count(False), len(kept)) if len(kept) >= LEAST_SOLVED else None
    return Continued(share, wilson_interval(sum(solved), len(solved)), lost)
