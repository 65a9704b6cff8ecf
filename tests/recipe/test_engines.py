"""The union of engines: told apart by kind, with messages that name what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.errors import RecipeError
from understudy.recipe import ClusterEngine, LocalEngine, Recipe, recipe_from, to_yaml
from understudy.recipe.yaml_text import parse_yaml

SMALLEST: dict[str, Any] = {
    "student": {"model": "m"},
    "data": {"dataset": "d"},
    "objective": {"method": "opd"},
    "steps": 1,
}


def with_engine(engine: object) -> Recipe:
    return recipe_from({**SMALLEST, "engine": engine})


@pytest.mark.parametrize("engine", [{}, {"kind": "local"}])
def test_the_default_is_one_process(engine: dict[str, str]) -> None:
    assert with_engine(engine) == recipe_from(SMALLEST)
    assert with_engine(engine).engine == LocalEngine()
    assert "kind: local" in to_yaml(recipe_from(SMALLEST))


def test_a_cluster_has_what_one_process_has_and_more() -> None:
    engine = with_engine({"kind": "cluster", "threads": 2, "offload_parameters": True}).engine
    assert engine == ClusterEngine(threads=2, offload_parameters=True)
    assert set(LocalEngine.model_fields) < set(ClusterEngine.model_fields)


def test_a_printed_recipe_reads_back() -> None:
    recipe = with_engine({"kind": "cluster", "tensor_parallel": 2})
    content = parse_yaml(to_yaml(recipe), source="here")
    assert isinstance(content, dict) and recipe_from(content) == recipe


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ({"kind": "clster"}, "engine.kind cannot be used; got 'clster'"),
        ({"kind": "clster"}, "Did you mean cluster?"),
        ({"kind": "local", "tensor_parallel": 2}, "section engine has no field 'tensor_parallel'"),
        ({"kind": "cluster", "ofload": "teacher"}, "Did you mean engine.offload?"),
        ({"kind": "cluster", "tensor_parallel": 0}, "engine.tensor_parallel cannot be used"),
    ],
)
def test_what_is_wrong_is_said(engine: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        with_engine(engine)
    assert said in str(caught.value)
