"""The benchmark of planning, in its smallest size."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import planning

from understudy.bench.speed.workload import SIZES, write_workload


def test_a_step_is_all_its_phases_and_planning_is_one_of_them(tmp_path: Path) -> None:
    size = planning.size_of(24, base=SIZES["mini"])
    write_workload(tmp_path, size)
    found = planning.measure(tmp_path, size, "tropd", top_k=8, steps=2, threads=1)
    assert found.rows == 24 and 0 < found.plan < found.step
    assert found.share == pytest.approx(found.plan / found.step)


def test_everybody_learns_from_the_student_s_own_rows_with_one_k(tmp_path: Path) -> None:
    write_workload(tmp_path, SIZES["mini"])
    for method in planning.METHODS:
        recipe = planning.recipe_of(tmp_path, SIZES["mini"], method, top_k=5, steps=1, threads=1)
        config = recipe.objective.model_dump()
        assert config.get("top_k", 5) == 5 and config.get("lmbda", 1.0) == 1.0 and not config.get("guidance", False)
