"""Every argument of TRL's configs has a fate here, and the documentation's table tells the same."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from understudy.errors import RecipeError
from understudy.trl import DistillationConfig, GKDConfig
from understudy.trl.fields import FATES, table

ROOT = Path(__file__).parents[2]
CONFIGS = (DistillationConfig, GKDConfig)
OTHER_DEFAULTS = {
    "DistillationConfig": {"gradient_checkpointing", "hub_strategy"},
    "GKDConfig": {"gradient_checkpointing", "hub_strategy", "temperature"},
}
"""Defaults that differ from TRL 1.16's; docs/from-trl.md says why of each."""


def test_every_argument_has_a_fate_and_every_fate_an_argument() -> None:
    names = {field.name for config in CONFIGS for field in dataclasses.fields(config)}
    assert names == set(FATES)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_the_arguments_are_trls(config: type[DistillationConfig] | type[GKDConfig]) -> None:
    """Names and defaults, where the Python that has TRL is at hand: .venv-bench, or UNDERSTUDY_TRL_PYTHON."""
    python = Path(os.environ.get("UNDERSTUDY_TRL_PYTHON", ROOT / ".venv-bench" / "bin" / "python"))
    if not python.exists():
        pytest.skip("no Python with TRL here: make bench makes .venv-bench")
    home = "trl" if config is DistillationConfig else "trl.experimental.gkd"
    code = (
        f"import dataclasses, json; from {home} import {config.__name__} as C\n"
        "empty = dataclasses.MISSING\n"
        "print(json.dumps({f.name: repr(f.default if f.default is not empty else "
        "(f.default_factory() if f.default_factory is not empty else None)) for f in dataclasses.fields(C)}))"
    )
    told = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout
    theirs = json.loads(told.splitlines()[-1])
    ours = {field.name: repr(_default(field)) for field in dataclasses.fields(config)}
    assert set(ours) == set(theirs)
    assert {name for name in ours if ours[name] != theirs[name]} == OTHER_DEFAULTS[config.__name__]


def _default(field: dataclasses.Field) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None


@pytest.mark.parametrize("name", sorted(name for name, fate in FATES.items() if fate.kind == "refused"))
def test_what_is_refused_says_what_to_do(name: str) -> None:
    config = next(each for each in CONFIGS if name in {field.name for field in dataclasses.fields(each)})
    with pytest.raises(RecipeError, match="has no counterpart here") as raised:
        config(**{name: "something else"})
    assert FATES[name].text in str(raised.value)
    assert f"{config.__name__}({name}=...)" in str(raised.value)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_nothing_is_refused_that_was_not_asked_for(config: type[DistillationConfig] | type[GKDConfig]) -> None:
    args = config(output_dir="somewhere")
    assert args.bf16 is None
    assert args.learning_rate > 0


def test_bfloat16_needs_no_gpu() -> None:
    assert DistillationConfig(bf16=True).bf16 is True
    assert torch.get_default_dtype() == torch.float32


def test_the_page_has_the_table() -> None:
    assert table() in (ROOT / "docs" / "from-trl.md").read_text(encoding="utf-8"), "run: make docs"
