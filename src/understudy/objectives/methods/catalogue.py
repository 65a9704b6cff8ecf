"""From a method's configuration to its objective, and the list of methods as data."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.methods.gkd import GKD, gkd
from understudy.objectives.methods.opd import OPD, opd
from understudy.objectives.methods.seq_kd import SeqKD, seq_kd
from understudy.objectives.methods.sft import SFT, sft
from understudy.objectives.objective import Objective


@singledispatch
def objective_of(config: MethodConfig) -> Objective:
    """The objective that a method's configuration describes."""
    raise TypeError(f"no objective for {type(config).__name__}")


_WRITTEN = {"teacher": "teacher_text", "data": "data_completion"}

_CONSTRUCTORS: dict[type[MethodConfig], Callable[..., Objective]] = {SFT: sft, SeqKD: seq_kd, OPD: opd, GKD: gkd}

for _config, _constructor in _CONSTRUCTORS.items():
    objective_of.register(_config, _constructor)


@dataclass(frozen=True)
class MethodEntry:
    """A method as ``understudy methods`` shows it.

    Args:
        name: as written in a recipe. idea: its first sentence. source: where it comes from.
        needs: columns its default configuration asks of scorers. writers: who writes completions.
    """

    name: str
    idea: str
    source: str
    needs: list[str]
    writers: list[str]


def entries() -> list[MethodEntry]:
    """One entry a method, sorted by name, read from docstrings and default configurations."""
    return sorted((_entry(config, constructor) for config, constructor in _CONSTRUCTORS.items()), key=lambda e: e.name)


def _entry(config: type[MethodConfig], constructor: Callable[..., Objective]) -> MethodEntry:
    text = inspect.getdoc(constructor) or ""
    source = re.search(r"Source: (.*)", text, re.DOTALL)
    objective = constructor(config())
    mix = objective.mix
    return MethodEntry(
        name=config.model_fields["method"].default,
        idea=text.split("\n")[0],
        source=" ".join(source.group(1).split()) if source else "",
        needs=objective.needs.describe() + [what for who, what in _WRITTEN.items() if getattr(mix, who) > 0],
        writers=[who for who in ("student", "teacher", "data") if getattr(mix, who) > 0],
    )
