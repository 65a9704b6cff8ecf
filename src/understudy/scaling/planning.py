"""A plan on paper: the best split of N devices for a recipe, phase by phase, and where the bottleneck moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from understudy.errors import UserMistakeError
from understudy.scaling.costs import Bound, Cost, Model, PhaseName
from understudy.scaling.simulation import steady_seconds
from understudy.scaling.splitting import Choice, Split, best_choice

SWEEP = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
"""Numbers of devices that a sweep goes through."""
_HOUR = 3600.0
_MOST_SIMULATED = 64


@dataclass(frozen=True)
class PhaseRow:
    """One phase of a plan.

    Args:
        phase: its name. devices: that do it. tokens, flops, bytes, seconds: of one step. bound: by what.
        tokens_a_second: of this phase while it runs. device_hours: of the whole run.
    """

    phase: PhaseName
    devices: int
    tokens: float
    flops: float
    bytes: float
    seconds: float
    bound: Bound
    tokens_a_second: float
    device_hours: float


@dataclass(frozen=True)
class SweepRow:
    """One number of devices.

    Args:
        devices: there are. split: of them that is fastest; None where the models do not fit. rollouts: of a step.
        seconds: of a step. tokens_a_second: that the student writes, over the whole step. bottleneck: phase and bound.
        device_hours: of the whole run.
    """

    devices: int
    split: Split | None
    rollouts: int
    seconds: float | None = None
    tokens_a_second: float | None = None
    bottleneck: str = "the models do not fit"
    device_hours: float | None = None


@dataclass(frozen=True)
class Plan:
    """The answer of ``understudy plan``.

    Args:
        devices, hardware: what there is. steps: of the run. split: the fastest. rows: by phase. seconds: of a step by
            the simulator. closed_form_seconds: the same without it. staleness: of the samples. bottleneck: what to
            mend. device_hours: of the run. idle_share: of the devices' time. sweep: other numbers. notes: assumptions.
    """

    devices: int
    hardware: str
    steps: int
    split: Split
    rows: Sequence[PhaseRow]
    seconds: float
    closed_form_seconds: float
    staleness: int
    bottleneck: str
    tokens_a_second: float
    device_hours: float
    idle_share: float
    sweep: Sequence[SweepRow]
    notes: Sequence[str]

    def to_json(self) -> dict[str, object]:
        """Everything, for programs to read."""
        return asdict(self)


def plan_for(
    model: Model, devices: int, *, steps: int, staleness: int = 0, grows: bool = False, notes: Sequence[str] = ()
) -> Plan:
    """The best plan for so many devices, and the sweep.

    Args:
        steps: of the run. grows: in the sweep a step has the recipe's prompts for every device.
    Raises:
        UserMistakeError: the models do not fit into the devices.
    """
    choice = best_choice(model, devices, staleness=staleness)
    if choice is None:
        raise UserMistakeError(
            "the models do not fit",
            got=f"{devices} x {model.device.memory_bytes / 1e9:.0f} GB",
            expected="room for weights, gradients and averages, and for the samplers' and teachers' copies",
            remedy="Raise --gpus, train adapters (student.lora), or take bfloat16 or a smaller teacher.",
        )
    seconds = simulated(choice)
    rows = [_row(choice, name, cost, steps) for name, cost in choice.costs.items()]
    hours = seconds * steps * devices / _HOUR
    return Plan(
        devices=devices,
        hardware=model.device.name,
        steps=steps,
        split=choice.split,
        rows=rows,
        seconds=seconds,
        closed_form_seconds=choice.timing.steady,
        staleness=choice.timing.staleness,
        bottleneck=bottleneck_of(choice),
        tokens_a_second=model.work.completion_rows / seconds,
        device_hours=hours,
        idle_share=max(0.0, 1 - sum(row.device_hours for row in rows) / hours),
        sweep=sweep(model, steps=steps, staleness=staleness, grows=grows),
        notes=tuple(notes),
    )


def sweep(
    model: Model, *, steps: int, staleness: int = 0, grows: bool = False, numbers: Sequence[int] = SWEEP
) -> list[SweepRow]:
    """The fastest split for each number of devices; with ``grows`` the batch is larger where there are more."""
    rows = []
    for devices in numbers:
        work = replace(model.work, prompts=model.work.prompts * devices) if grows else model.work
        one = replace(model, work=work)
        choice = best_choice(one, devices, staleness=staleness)
        if choice is None:
            rows.append(SweepRow(devices, None, work.rollouts))
            continue
        seconds = simulated(choice)
        rows.append(
            SweepRow(
                devices=devices,
                split=choice.split,
                rollouts=work.rollouts,
                seconds=seconds,
                tokens_a_second=work.completion_rows / seconds,
                bottleneck=bottleneck_of(choice),
                device_hours=seconds * steps * devices / _HOUR,
            )
        )
    return rows


def simulated(choice: Choice) -> float:
    """Seconds of a step by the simulator; of very many samplers, which are all alike, some stand for all."""
    timing = choice.timing
    if timing.samplers > _MOST_SIMULATED:
        # Fewer samplers with as much in each, and as many fewer teachers: every queue is as long as before.
        fewer = max(1, round(timing.teachers * _MOST_SIMULATED / timing.samplers))
        score = timing.scoring_seconds * fewer
        timing = replace(timing, samplers=_MOST_SIMULATED, teachers=fewer, score=score)
    return steady_seconds(timing)


def bottleneck_of(choice: Choice) -> str:
    """The phase that a step waits for most, and what bounds it: ``sampling: weight reads``."""
    timing, costs = choice.timing, dict(choice.costs)
    if not timing.together and timing.staleness and timing.steady > timing.sample * 1.001:
        trainer = timing.update + timing.push
        if timing.scoring_seconds >= max(trainer, timing.sample):
            costs = {"teacher score": costs["teacher score"]}
        elif trainer >= timing.sample:
            costs = {name: cost for name, cost in costs.items() if name not in ("sampling", "teacher score", "reward")}
    name = max(costs, key=lambda one: costs[one].seconds)
    return f"{name}: {costs[name].bound}"


def _row(choice: Choice, name: PhaseName, cost: Cost, steps: int) -> PhaseRow:
    split = choice.split
    devices = {"sampling": split.samplers, "teacher score": split.teachers, "reward": 0}.get(name, split.trainers)
    return PhaseRow(
        phase=name,
        devices=devices,
        tokens=cost.tokens,
        flops=cost.flops,
        bytes=cost.bytes,
        seconds=cost.seconds,
        bound=cost.bound,
        tokens_a_second=cost.tokens / cost.seconds if cost.seconds else 0.0,
        device_hours=devices * cost.seconds * steps / _HOUR,
    )
