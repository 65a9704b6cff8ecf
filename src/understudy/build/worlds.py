"""The worlds that recipes name: what makes one for an attempt, and what this version does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from understudy.environments.toy import RememberDigit
from understudy.errors import RecipeError
from understudy.objectives.objective import Objective
from understudy.protocols import Environment
from understudy.recipe import EnvironmentConfig, Source

EnvironmentFactory = Callable[[], Environment]
"""Makes the world of one attempt."""


def world_of(config: EnvironmentConfig) -> EnvironmentFactory | None:
    """Makes the world of one attempt; None for a single turn, which the task's verifier judges.

    Raises:
        RecipeError: this version has no such environment.
    """
    if config.is_agent:
        raise RecipeError(
            f"environment {config.kind} is not in this version",
            expected="single_turn or remember_digit",
            remedy="Bring your own: understudy.train(recipe, environment=...); --dry-run checks the recipe as it is.",
        )
    return partial(RememberDigit, config.style or "fresh") if config.kind == "remember_digit" else None


def check_graded(
    method: str, objective: Objective, sources: Iterable[Source], *, world: EnvironmentFactory | None
) -> None:
    """Refuse a method that learns from rewards where nothing gives any.

    Args:
        world: of the run; None for a single turn, judged by the verifiers of the ``sources``.
    Raises:
        RecipeError: it needs a reward, or to know what is correct, and no data set has a verifier.
    """
    wanted = objective.needs.graded
    if wanted and world is None and all(source.verifier.kind == "none" for source in sources):
        raise RecipeError(
            f"method {method!r} needs {' and '.join(sorted(wanted))}, and nothing grades the data",
            expected="a verifier",
            remedy="Give data a verifier (exact, numeric, math, ...), or choose a method without rewards, such as opd.",
        )
