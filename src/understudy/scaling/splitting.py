"""How N devices are best shared out: all for each phase in turn, or samplers, teachers and a trainer apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from understudy.models.memory import BYTES
from understudy.scaling.architecture import Architecture
from understudy.scaling.costs import Cost, Model, PhaseName, push, reward, sampling, scoring, update
from understudy.scaling.timing import Timing

_USABLE = 0.9  # of a device's memory; the rest is the libraries' and what lies between allocations
_ACTIVATIONS = 0.25  # of it, kept for activations, logits and gathered layers (assumed)
_PIECES = 4


@dataclass(frozen=True)
class Split:
    """Devices by purpose. Args: together: all do everything; else the three numbers are of devices apart.

    ``sampler_width``, ``teacher_width``: devices that hold one copy of the model.
    """

    together: bool
    samplers: int
    teachers: int
    trainers: int
    sampler_width: int = 1
    teacher_width: int = 1

    @property
    def devices(self) -> int:
        """That are used."""
        return self.trainers if self.together else self.samplers + self.teachers + self.trainers


@dataclass(frozen=True)
class Choice:
    """A split with what it costs. Args: costs: by phase. staleness: of the samples."""

    model: Model
    split: Split
    costs: Mapping[PhaseName, Cost]
    staleness: int = 0

    @cached_property
    def timing(self) -> Timing:
        """For the simulator."""
        split, costs = self.split, self.costs
        own = sum(costs[name].seconds for name in ("student score", "reference score") if name in costs)
        teachers = 1 if split.together else max(1, split.teachers // split.teacher_width)
        score = costs["teacher score"].seconds if "teacher score" in costs else 0.0
        return Timing(
            together=split.together,
            sample=costs["sampling"].seconds,
            score=score * teachers,
            update=costs["update"].seconds + own,
            push=costs["push"].seconds,
            reward=costs["reward"].seconds,
            samplers=1 if split.together else min(split.samplers // split.sampler_width, self.model.work.rollouts),
            teachers=teachers,
            pieces=1 if split.together else _PIECES,
            staleness=0 if split.together else self.staleness,
        )


def cost_of(model: Model, split: Split, *, staleness: int = 0, known: dict[object, Cost] | None = None) -> Choice:
    """Every phase of a step on this split; ``known`` keeps what other splits of the same model share with it."""
    work, apart, known = model.work, not split.together, {} if known is None else known

    def once(name: PhaseName, arguments: object, cost: Callable[[], Cost]) -> Cost:
        key = (name, arguments)
        if key not in known:
            known[key] = cost()
        return known[key]

    copies, rows = split.samplers // split.sampler_width, _rows_at_once(model, split)
    costs: dict[PhaseName, Cost] = {
        "sampling": once(
            "sampling",
            (copies, split.sampler_width, rows),
            lambda: sampling(model, replicas=copies, width=split.sampler_width, rows_at_once=rows),
        ),
        "reward": reward(model),
    }
    asked: list[PhaseName] = ["student score"] if work.student_scores else []
    for name in [*asked, *(["reference score"] if work.has_reference else [])]:
        costs[name] = once(  # type: ignore[index]
            "student score",
            split.trainers,
            lambda: scoring(model, of=model.student, replicas=split.trainers, dtype=work.student_dtype),
        )
    if work.has_teacher and (teacher := model.teacher) is not None:
        scorers = split.teachers // split.teacher_width
        costs["teacher score"] = once(
            "teacher score",
            (scorers, split.teacher_width),
            lambda: scoring(model, of=teacher, replicas=scorers, width=split.teacher_width),
        )
    costs["update"] = once("update", split.trainers, lambda: update(model, ranks=split.trainers))
    costs["push"] = once("push", (apart, split.trainers), lambda: push(model, apart=apart, ranks=split.trainers))
    return Choice(model, split, costs, staleness)


def best_choice(model: Model, devices: int, *, staleness: int) -> Choice | None:
    """The fastest split of at most so many devices; None where the models do not fit into them.

    Devices may be left idle where more of them would only talk to each other.
    """
    known: dict[object, Cost] = {}
    found = [cost_of(model, split, staleness=staleness, known=known) for split in splits_of(model, devices)]
    return min(found, key=lambda choice: (choice.timing.steady, choice.split.devices), default=None)


def splits_of(model: Model, devices: int) -> Iterator[Split]:
    """Splits that fit into memory: every number of devices up to 8, then steps of a quarter."""
    sampler = _width(model, model.student, model.work.student_dtype)
    has_teacher = model.work.has_teacher and model.teacher is not None
    teacher = _width(model, model.teacher, model.work.teacher_dtype) if has_teacher and model.teacher else 0
    ranks = _least_ranks(model)
    for number in _counts(devices):
        if _fits_together(model, number, sampler, teacher):
            yield Split(True, number, number if teacher else 0, number, min(sampler, number), min(teacher or 1, number))
    for samplers in _counts(devices // sampler):
        for teachers in _counts(devices // teacher) if teacher else (0,):
            left = devices - samplers * sampler - teachers * teacher
            for trainers in sorted({left, *(2**power for power in range(left.bit_length()))}) if left > 0 else ():
                if max(ranks, left // 4) <= trainers <= left:
                    yield Split(False, samplers * sampler, teachers * teacher, trainers, sampler, teacher or 1)


def _counts(most: int) -> list[int]:
    found, number = [], 1
    while number <= most:
        found.append(number)
        number = max(number + 1, math.floor(number * 1.25))
    return [*found, most] if found and found[-1] != most else found


def _width(model: Model, of: Architecture, dtype: str) -> int:
    """Devices that hold one copy with room for work, a power of two."""
    needed = of.num_parameters * BYTES[dtype]
    room = model.device.memory_bytes * _USABLE * (1 - _ACTIVATIONS)
    return 2 ** max(0, math.ceil(math.log2(needed / room)))


def _trainer_bytes(model: Model) -> float:
    """Weights, gradients and averages, to be sharded over ranks; masters are float32."""
    trained = model.trained_parameters
    frozen = 0 if model.work.lora_rank is None else model.student.num_parameters
    copies = model.student.num_parameters * 2 if model.work.student_dtype == "bfloat16" else 0
    return trained * (8 + model.work.average_bytes) + frozen * 4 + copies


def _least_ranks(model: Model) -> int:
    room = model.device.memory_bytes * _USABLE * (1 - _ACTIVATIONS)
    return max(1, math.ceil(_trainer_bytes(model) / room))


def _fits_together(model: Model, devices: int, sampler: int, teacher: int) -> bool:
    """Whether a device holds its shard of the trainer and its parts of a sampler and a teacher."""
    if devices % sampler or (teacher and devices % teacher):
        return False
    held = _trainer_bytes(model) / devices + model.student.num_parameters * BYTES[model.work.student_dtype] / sampler
    if teacher and model.teacher is not None:
        held += model.teacher.num_parameters * BYTES[model.work.teacher_dtype] / teacher
    return held <= model.device.memory_bytes * _USABLE * (1 - _ACTIVATIONS)


def _rows_at_once(model: Model, split: Split) -> int:
    """Rollouts whose keys and values fit beside what a sampler's devices hold."""
    dtype = model.work.student_dtype
    free = model.device.memory_bytes * _USABLE * split.sampler_width
    free -= model.student.num_parameters * BYTES[dtype]
    if split.together:
        free -= _trainer_bytes(model) / split.trainers * split.sampler_width
        if split.teachers and model.teacher is not None:
            held = model.teacher.num_parameters * BYTES[model.work.teacher_dtype]
            free -= held / split.teacher_width * split.sampler_width
    row = model.student.key_value_bytes(model.work.context_tokens, value_bytes=BYTES[dtype])
    return max(1, int(free / row))


def ideal(model: Model) -> Model:
    """The same with devices that lose nothing by being many."""
    return replace(model, device=model.device.ideal)
