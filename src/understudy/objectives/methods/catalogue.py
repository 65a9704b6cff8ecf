"""From a method's configuration to its objective, and the list of methods as data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from understudy.objectives.fields import FieldEntry, fields_of, notes_of
from understudy.objectives.methods.aopd import AOPD, aopd
from understudy.objectives.methods.atod import ATOD, atod
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.methods.distillm import DistiLLM, distillm
from understudy.objectives.methods.entropy_opd import EntropyOPD, entropy_opd
from understudy.objectives.methods.eopd import EOPD, eopd
from understudy.objectives.methods.exopd import ExOPD, exopd
from understudy.objectives.methods.gkd import GKD, gkd
from understudy.objectives.methods.gopd import GOPD, gopd
from understudy.objectives.methods.grpo import GRPO, grpo
from understudy.objectives.methods.iw_opd import IWOPD, iw_opd
from understudy.objectives.methods.jsd_topk import JSDTopK, jsd_topk
from understudy.objectives.methods.kdrl import KDRL, kdrl
from understudy.objectives.methods.lightning import Lightning, lightning
from understudy.objectives.methods.local_support import LocalSupport, local_support
from understudy.objectives.methods.minillm import MiniLLM, minillm
from understudy.objectives.methods.mopd import MOPD, mopd
from understudy.objectives.methods.opcd import OPCD, opcd
from understudy.objectives.methods.opd import OPD, opd
from understudy.objectives.methods.opsd import OPSD, opsd
from understudy.objectives.methods.power_opd import PowerOPD, power_opd
from understudy.objectives.methods.prefix_teach import PrefixTeach, prefix_teach
from understudy.objectives.methods.pw_opsd import PWOPSD, pw_opsd
from understudy.objectives.methods.reopold import REOPOLD, reopold
from understudy.objectives.methods.rethinking import Rethinking, rethinking
from understudy.objectives.methods.rlsd import RLSD, rlsd
from understudy.objectives.methods.scope import SCOPE, scope
from understudy.objectives.methods.sdar import SDAR, sdar
from understudy.objectives.methods.sdft import SDFT, sdft
from understudy.objectives.methods.sdpo import SDPO, sdpo
from understudy.objectives.methods.seq_kd import SeqKD, seq_kd
from understudy.objectives.methods.sft import SFT, sft
from understudy.objectives.methods.sod import SOD, sod
from understudy.objectives.methods.tcod import TCOD, tcod
from understudy.objectives.methods.tip import TIP, tip
from understudy.objectives.methods.topk_fkl import TopKFKL, topk_fkl
from understudy.objectives.methods.tropd import TrOPD, tropd
from understudy.objectives.methods.tropd_aopd import TrOPDAOPD, tropd_aopd
from understudy.objectives.methods.veto import Veto, veto
from understudy.objectives.methods.vopd import VOPD, vopd
from understudy.objectives.objective import Objective

METHODS: Mapping[type[MethodConfig], Callable[..., Objective]] = {
    AOPD: aopd,
    ATOD: atod,
    DistiLLM: distillm,
    EntropyOPD: entropy_opd,
    EOPD: eopd,
    ExOPD: exopd,
    GKD: gkd,
    GOPD: gopd,
    GRPO: grpo,
    IWOPD: iw_opd,
    JSDTopK: jsd_topk,
    KDRL: kdrl,
    Lightning: lightning,
    LocalSupport: local_support,
    MiniLLM: minillm,
    MOPD: mopd,
    OPCD: opcd,
    OPD: opd,
    OPSD: opsd,
    PowerOPD: power_opd,
    PrefixTeach: prefix_teach,
    PWOPSD: pw_opsd,
    REOPOLD: reopold,
    Rethinking: rethinking,
    RLSD: rlsd,
    SCOPE: scope,
    SDAR: sdar,
    SDFT: sdft,
    SDPO: sdpo,
    SeqKD: seq_kd,
    SFT: sft,
    SOD: sod,
    TCOD: tcod,
    TIP: tip,
    TopKFKL: topk_fkl,
    TrOPD: tropd,
    TrOPDAOPD: tropd_aopd,
    Veto: veto,
    VOPD: vopd,
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
        name: as written in a recipe. title: what it is called. idea: its formula. claim: what its gradient is.
        notes: what else its configuration says. source: where it comes from.
        needs: columns its default configuration asks of scorers. writers: who writes completions.
        progress: the measure it drives. fields: of its configuration, ``method`` left out.
    """

    name: str
    title: str
    idea: str
    claim: str
    notes: str
    source: str
    needs: list[str]
    writers: list[str]
    progress: str
    fields: list[FieldEntry]


def entries() -> list[MethodEntry]:
    """One entry a method, sorted by name, read from docstrings and default configurations."""
    return list(_entries())


@cache
def _entries() -> tuple[MethodEntry, ...]:
    """Made once: every model card asks, and a run writes one with each checkpoint."""
    made = (_entry(config, constructor) for config, constructor in METHODS.items())
    return tuple(sorted(made, key=lambda entry: entry.name))


def _entry(config: type[MethodConfig], constructor: Callable[..., Objective]) -> MethodEntry:
    text, _, source = (inspect.getdoc(constructor) or "").partition("Source: ")
    idea, _, claim = text.partition("\n\n")
    title = (inspect.getdoc(config) or "").partition("\n\n")[0]
    name = config.model_fields["method"].default
    objective = constructor(config(method=name))
    mix = objective.mix
    return MethodEntry(
        name=name,
        title=" ".join(title.split()),
        idea=" ".join(idea.split()),
        claim=claim.strip(),
        notes=notes_of(config),
        source=" ".join(source.split()),
        needs=objective.needs.describe() + _text_needed(objective),
        writers=[who for who in ("student", "teacher", "data") if getattr(mix, who) > 0],
        progress=config.progress,
        fields=fields_of(config),
    )


def _text_needed(objective: Objective) -> list[str]:
    text = ["teacher_text"] if objective.writing.needs_teacher_text else []
    return text + (["data_completion"] if objective.mix.data else [])
