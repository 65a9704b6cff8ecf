"""From a method's configuration to its objective, and the list of methods as data."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.methods.gkd import GKD, gkd
from understudy.objectives.methods.opd import OPD, opd
from understudy.objectives.methods.seq_kd import SeqKD, seq_kd
from understudy.objectives.methods.sft import SFT, sft
from understudy.objectives.objective import Objective

METHODS: Mapping[type[MethodConfig], Callable[..., Objective]] = {
    GKD: gkd,
    OPD: opd,
    SeqKD: seq_kd,
    SFT: sft,
}
"""Each method's configuration, and what makes an objective of it; sorted by name."""

if TYPE_CHECKING:
    AnyMethod = MethodConfig
else:
    AnyMethod = Annotated[Union[tuple(METHODS)], Field(discriminator="method")]  # noqa: UP007
"""The configuration of any method, told apart by its field ``method``."""


def objective_of(config: MethodConfig) -> Objective:
    """The objective that a method's configuration describes."""
    return METHODS[type(config)](config)


@dataclass(frozen=True)
class MethodEntry:
    """A method as ``understudy methods`` shows it.

    Args:
        name: as written in a recipe. idea: its first sentence. source: where it comes from.
        needs: columns its default configuration asks of scorers. writers: who writes completions.
        progress: the measure it drives.
    """

    name: str
    idea: str
    source: str
    needs: list[str]
    writers: list[str]
    progress: str


def entries() -> list[MethodEntry]:
    """One entry a method, sorted by name, read from docstrings and default configurations."""
    return sorted((_entry(config, constructor) for config, constructor in METHODS.items()), key=lambda e: e.name)


def _entry(config: type[MethodConfig], constructor: Callable[..., Objective]) -> MethodEntry:
    text = inspect.getdoc(constructor) or ""
    source = re.search(r"Source: (.*)", text, re.DOTALL)
    name = config.model_fields["method"].default
    objective = constructor(config(method=name))
    mix = objective.mix
    return MethodEntry(
        name=name,
        idea=text.split("\n")[0],
        source=" ".join(source.group(1).split()) if source else "",
        needs=objective.needs.describe() + _text_needed(objective),
        writers=[who for who in ("student", "teacher", "data") if getattr(mix, who) > 0],
        progress=config.progress,
    )


def _text_needed(objective: Objective) -> list[str]:
    text = ["teacher_text"] if objective.writing.needs_teacher_text else []
    return text + (["data_completion"] if objective.mix.data else [])
