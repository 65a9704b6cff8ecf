"""A block of YAML is a recipe, a part of one, or one of the other files that the program reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import yaml

from understudy.comparing.published import read_published
from understudy.errors import UnderstudyError
from understudy.evaluation.grading import load_panel
from understudy.recipe import Recipe, load_suite, recipe_from
from understudy.recipe.data import Data

_REST: Mapping[str, Any] = {
    "name": "rest",
    "student": {"model": "student", "ema_decay": 0.999},
    "teacher": {"model": "teacher"},
    "reference": "initial",
    "data": {"dataset": "problems.jsonl", "prompt": "{question}", "completion": "{solution}"},
    "rollout": {"num_generations": 2, "max_turns": 50},
    "objective": {"method": "opd"},
    "steps": 4,
}
"""What a part of a recipe is completed with: enough for any other part."""


def faults_of(code: str) -> list[str]:
    """What is wrong with the block, nothing when it is something that the program reads."""
    faults = []
    for content in alternatives(code):
        kinds: list[Callable[[Mapping[str, Any]], object]] = [_recipe_part]
        if not set(content) <= set(Recipe.model_fields):
            kinds = [_data_part] if set(content) <= set(Data.model_fields) - {"dataset"} else [_graders, _published]
            kinds = kinds if "dataset" not in content else [_suite]
        told = [fault for kind in kinds if (fault := _fault(kind, content)) is not None]
        if len(told) == len(kinds):
            faults.append("; ".join(told))
    return faults


def json_faults_of(code: str) -> list[str]:
    """What is wrong with a block of JSON, one value or one a line."""
    try:
        json.loads(code)
    except ValueError as error:
        try:
            [json.loads(line) for line in code.splitlines()]
        except ValueError:
            return [str(error)]
    return []


def alternatives(code: str) -> Iterator[Mapping[str, Any]]:
    """The block's content; where a key stands several times, once for each, as they are choices."""
    node = yaml.compose(code, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("no mapping")
    values: dict[str, list[Any]] = {}
    for key, value in node.value:
        one = yaml.MappingNode(node.tag, [(key, value)])
        ((name, content),) = yaml.SafeLoader("").construct_document(one).items()
        values.setdefault(name, []).append(content)
    for index in range(max(map(len, values.values()))):
        yield {name: given[min(index, len(given) - 1)] for name, given in values.items()}


def _fault(kind: Callable[[Mapping[str, Any]], object], content: Mapping[str, Any]) -> str | None:
    try:
        kind(content)
    except UnderstudyError as error:
        return f"as {kind.__name__.strip('_').replace('_', ' ')}: {error}"
    return None


def _recipe_part(content: Mapping[str, Any]) -> object:
    return recipe_from({**_completed(content), **content})


def _completed(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rest; its suites too where a checkpoint is chosen by one that the block does not show."""
    best = content.get("checkpoint", {}).get("keep_best")
    suites = {"evaluation": {"suites": [best]}} if best and "evaluation" not in content else {}
    return {**_REST, **suites}


def _data_part(content: Mapping[str, Any]) -> object:
    return recipe_from({**_REST, "data": {**_REST["data"], **content}})


def _suite(content: Mapping[str, Any]) -> object:
    return load_suite(_file(content))


def _graders(content: Mapping[str, Any]) -> object:
    return load_panel(_file(content))


def _published(content: Mapping[str, Any]) -> object:
    return read_published(_file(content), confidence=0.95)


def _file(content: Mapping[str, Any]) -> Path:
    with NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(dict(content), file)
    return Path(file.name)
