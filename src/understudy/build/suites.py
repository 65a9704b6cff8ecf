"""Suites by name: those of the testbed, and the benchmarks of the catalogue on local data where there is any."""

from __future__ import annotations

from pathlib import Path

from understudy.evaluation.benchmarks import benchmark_named, benchmarks, with_local_data
from understudy.recipe import Recipe, Suite
from understudy.testbed import is_testbed, known_suites
from understudy.testbed import suite_named as testbed_suite


def suite_named(name: str, *, data: Path | None = None) -> Suite:
    """The suite of that name.

    Args:
        data: a benchmark's file, or a folder that holds it; None looks in ``UNDERSTUDY_DATA_DIR`` where that is set.
    Raises:
        UserMistakeError: there is none of that name, or ``data`` does not hold it.
    """
    known = known_suites()
    if is_testbed(name) or name in known:
        return testbed_suite(name)
    return with_local_data(benchmark_named(name, also=tuple(known)), data)


def version_of(suite: Suite) -> int | None:
    """The version of a named benchmark; None for any other suite."""
    found = benchmarks().get(suite.name)
    return None if found is None else found.version


def suites_of(recipe: Recipe) -> list[Suite]:
    """The recipe's suites, named ones resolved."""
    return [suite_named(suite) if isinstance(suite, str) else suite for suite in recipe.evaluation.suites]
