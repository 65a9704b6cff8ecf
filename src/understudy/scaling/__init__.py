"""A run on paper: what each phase of a step costs on some hardware, and how many devices are best shared out."""

from understudy.scaling.architecture import Architecture, architecture_from
from understudy.scaling.costs import Cost, Model
from understudy.scaling.hardware import CPU_PACES, PRESETS, Hardware, Pace, hardware_from
from understudy.scaling.known import known_architecture
from understudy.scaling.planning import Plan, plan_for
from understudy.scaling.resolving import models_of
from understudy.scaling.workload import ASSUMED_PROMPT_TOKENS, Workload, workload_of

__all__ = [
    "ASSUMED_PROMPT_TOKENS",
    "CPU_PACES",
    "PRESETS",
    "Architecture",
    "Cost",
    "Hardware",
    "Model",
    "Pace",
    "Plan",
    "Workload",
    "architecture_from",
    "hardware_from",
    "known_architecture",
    "models_of",
    "plan_for",
    "workload_of",
]
