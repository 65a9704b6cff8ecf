"""All methods: one file each; the union of their configurations is the list of methods."""

from __future__ import annotations

from understudy.objectives.methods.catalogue import METHODS, AnyMethod, MethodEntry, entries, objective_of
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.methods.gkd import GKD
from understudy.objectives.methods.opd import OPD
from understudy.objectives.methods.seq_kd import SeqKD
from understudy.objectives.methods.sft import SFT

__all__ = [
    "GKD",
    "METHODS",
    "OPD",
    "SFT",
    "AnyMethod",
    "MethodConfig",
    "MethodEntry",
    "Progress",
    "SeqKD",
    "entries",
    "objective_of",
]
