"""A run in several processes: servers and ranks, started, watched, started again, and ended together."""

from understudy.launching.gpus import gpus_here
from understudy.launching.launching import Ended, run_launch
from understudy.launching.layout import Layout, laid_out
from understudy.launching.order import KEY_VARIABLE, PROGRAMS, Order, Program
from understudy.launching.shown import commands_of
from understudy.launching.supervising import Bounds, PartFailedError

__all__ = [
    "KEY_VARIABLE",
    "PROGRAMS",
    "Bounds",
    "Ended",
    "Layout",
    "Order",
    "PartFailedError",
    "Program",
    "commands_of",
    "gpus_here",
    "laid_out",
    "run_launch",
]
