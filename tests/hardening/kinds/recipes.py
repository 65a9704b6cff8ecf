"""Recipes and suites: the real ones with faults, their data with hostile values, and overrides."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.hardening.mutating import HOSTILE_TEXTS, broken, hostile_value, json_bytes, nested, twisted
from tests.hardening.target import Target
from understudy.recipe import load_recipe, load_suite, to_yaml
from understudy.recipe.yaml_text import parse_yaml

ROOT = Path(__file__).parents[3]
TEXTS = [file.read_bytes() for file in sorted((ROOT / "recipes").glob("*.yaml"))]
DATA: list[dict[str, Any]] = [yaml.safe_load(text) for text in TEXTS]
SUITES = [file.read_bytes() for file in sorted((ROOT / "src/understudy/evaluation/catalogue").glob("*.yaml"))]


def recipe_text(folder: Path) -> Target:
    """The bytes of a recipe's file."""

    def make(random: Random) -> bytes:
        if random.random() < 0.02:
            return random.choice((nested(), nested(b"{a: ", b"}"), nested(b"- ", b""), b"\xff\xfe", b"", b"- \n" * 99))
        return broken(random, random.choice(TEXTS), others=TEXTS)

    return Target("recipe text", make, lambda content: _load(folder / "fuzz.yaml", content, []))


def recipe_data(folder: Path) -> Target:
    """A recipe whose fields hold other things than they should."""

    def make(random: Random) -> bytes:
        return json_bytes(twisted(random, random.choice(DATA)))

    return Target("recipe fields", make, lambda content: _load(folder / "fuzz.yaml", content, []))


def overrides(folder: Path) -> Target:
    """``key.sub=value`` beside a good recipe."""
    good = TEXTS[0]
    paths = sorted({path for one in DATA for path in _paths(one, ())})

    def make(random: Random) -> bytes:
        lines = [_override(random, paths) for _ in range(random.choice((1, 1, 2, 4)))]
        return json_bytes(lines)

    def attempt(content: bytes) -> None:
        _load(folder / "good.yaml", good, json.loads(content))

    return Target("overrides", make, attempt)


def suite_text(folder: Path) -> Target:
    """The bytes of a suite's file."""

    def attempt(content: bytes) -> None:
        file = folder / "suite.yaml"
        file.write_bytes(content)
        load_suite(file)

    return Target("suite text", lambda random: broken(random, random.choice(SUITES), others=TEXTS), attempt)


def _override(random: Random, paths: list[str]) -> str:
    path = random.choice(paths)
    if random.random() < 0.3:
        path = random.choice((f"{path}.x", f"{path}.0", f"{path}.999999", path[::-1], "", ".", "a..b", f"{path}.²"))
    value = json.dumps(hostile_value(random)) if random.random() < 0.6 else random.choice(HOSTILE_TEXTS)
    return random.choice((f"{path}={value}", f"{path}={value}", f"{path}", f"{path}=[{value}", f"={value}"))


def _paths(value: Any, path: tuple[str, ...]) -> list[str]:
    if not isinstance(value, dict):
        return [".".join(path)]
    return [one for key, each in value.items() for one in [".".join((*path, key)), *_paths(each, (*path, key))]]


def _load(file: Path, content: bytes, lines: list[str]) -> None:
    """Read it; a recipe that is taken is written and read back to the same."""
    file.write_bytes(content)
    recipe = load_recipe(file, lines)
    text = to_yaml(recipe)
    if parse_yaml(text, source="again") != recipe.model_dump(mode="json"):
        raise AssertionError("a recipe is not what its own text says")
