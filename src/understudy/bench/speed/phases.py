"""Seconds by phase of a step, taken the same way on both sides: from outside, with hooks.

TRL's Python runs this file too: only torch is imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.profiler import record_function
from torch.utils.hooks import RemovableHandle

PHASES = ("sample", "teacher", "student_score", "forward", "loss", "backward", "optimizer", "rest")
Clock = Literal["wall", "cpu"]


class Phases:
    """A stopwatch of nested phases: a phase's seconds leave out those of the phases inside it.

    Args:
        on_first_step: called just before the first step begins. on_step: told the number of each step that ended.
        clock: ``wall``, or ``cpu``: seconds of all threads of this process, which others on the machine delay less.
        named: make each phase a named range of ``torch.profiler``.
    Attributes:
        steps: one mapping a step, phase -> seconds; ``total`` is their sum.
    """

    def __init__(
        self,
        on_first_step: Callable[[], object] = lambda: None,
        *,
        clock: Clock = "wall",
        on_step: Callable[[int], object] = lambda _: None,
        named: bool = False,
    ) -> None:
        self.steps: list[dict[str, float]] = []
        self._now = time.perf_counter if clock == "wall" else time.process_time
        self._on_first_step, self._on_step, self._named = on_first_step, on_step, named
        self._stack: list[str] = []
        self._ranges: list[record_function] = []
        self._since = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time the block as one step; what no phase claims is ``rest``."""
        self.begin_step()
        yield
        self.end_step()

    def begin_step(self) -> None:
        """The clock runs from here."""
        if not self.steps:
            self._on_first_step()
        self.steps.append(dict.fromkeys(PHASES, 0.0))
        self._stack, self._since = ["rest"], self._now()

    def end_step(self) -> None:
        """Close the step."""
        self._book()
        self.steps[-1]["total"] = sum(self.steps[-1].values())
        self._stack = []
        self._on_step(len(self.steps))

    def enter(self, phase: str) -> None:
        """The time from now on belongs to ``phase``; outside a step nothing is counted."""
        if self._stack:
            self._book()
            self._stack.append(phase)
            if self._named:
                self._ranges.append(record_function(phase))
                self._ranges[-1].__enter__()

    def leave(self) -> None:
        """Back to the phase around the present one."""
        if self._stack:
            self._book()
            self._stack.pop()
            if self._ranges:
                self._ranges.pop().__exit__(None, None, None)

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its time booked to ``phase``."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.enter(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return wrapped

    def watch_module(self, phase: str, module: nn.Module, *, only_training: bool = False) -> list[RemovableHandle]:
        """Book a module's forward; ``only_training``: only where a gradient is recorded, as sampling does not.

        The fast decoding step is not for watched modules: remove the handles before a model samples.
        """

        def counts() -> bool:
            return torch.is_grad_enabled() or not only_training

        before = module.register_forward_pre_hook(lambda *_: self.enter(phase) if counts() else None)
        return [before, module.register_forward_hook(lambda *_: self.leave() if counts() else None)]

    def watch_learning(self) -> None:
        """Book every ``backward`` and every optimiser step of this process."""
        torch.Tensor.backward = self.timed("backward", torch.Tensor.backward)  # type: ignore[method-assign]
        register_optimizer_step_pre_hook(lambda *_: self.enter("optimizer"))
        register_optimizer_step_post_hook(lambda *_: self.leave())

    def _book(self) -> None:
        now = self._now()
        self.steps[-1][self._stack[-1]] += now - self._since
        self._since = now
