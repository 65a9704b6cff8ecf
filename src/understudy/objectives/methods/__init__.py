"""All methods: one file each; the union of their configurations is the list of methods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from understudy.objectives.methods.catalogue import MethodEntry, entries, objective_of
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.methods.gkd import GKD
from understudy.objectives.methods.opd import OPD
from understudy.objectives.methods.seq_kd import SeqKD
from understudy.objectives.methods.sft import SFT

AnyMethod = Annotated[SFT | SeqKD | OPD | GKD, Field(discriminator="method")]

__all__ = ["GKD", "OPD", "SFT", "AnyMethod", "MethodConfig", "MethodEntry", "SeqKD", "entries", "objective_of"]
