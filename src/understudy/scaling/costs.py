"""Tokens, FLOPs, bytes and seconds of each phase of a step, on so many devices.

A phase's seconds are those of its products (FLOPs, or the weights they read, whichever takes longer), of what else
moves through memory (keys and values, activations, logits), of calls, and where many devices take part those of the
network that the rest does not hide. What a layer moves beside its products is counted as in ``models/memory.py``:
values written once and read once. Every assumption is a constant here or a field of ``Hardware``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from understudy.models.memory import BYTES
from understudy.scaling.architecture import Architecture
from understudy.scaling.hardware import Hardware, Pace
from understudy.scaling.workload import Workload

PhaseName = Literal["sampling", "reward", "student score", "reference score", "teacher score", "update", "push"]
Bound = Literal["products", "weight reads", "other memory", "calls", "network", "waiting", "nothing"]

# float32 buffers of [rows, vocabulary] that are written or read in a pass (assumed; checked with the fit).
_LOGIT_PASSES = {"sampling": 6, "scoring": 5, "updating": 8}
_WRITTEN_AND_READ = 2
_ATTENTION_PASSES = 6  # of the weights of attention: written, masked, normalised in three, read
_BACKWARD = 2  # as much again for the gradient of what is between products, and for its own reads


@dataclass(frozen=True)
class Cost:
    """One phase of one step on all devices that take part.

    Args:
        tokens: that it works on. flops: of products. weight_bytes, other_bytes: through memory.
        network_bytes: between devices. seconds: that it takes. bound: what takes most of them.
        parts: seconds by what they are spent on; products and weight reads run at one time, and the network beside all.
    """

    tokens: float = 0.0
    flops: float = 0.0
    weight_bytes: float = 0.0
    other_bytes: float = 0.0
    network_bytes: float = 0.0
    seconds: float = 0.0
    bound: Bound = "nothing"
    parts: Mapping[Bound, float] = field(default_factory=dict)

    @property
    def bytes(self) -> float:
        """Through memory and between devices."""
        return self.weight_bytes + self.other_bytes + self.network_bytes


@dataclass(frozen=True)
class _Load:
    """What one device does in a phase: ``calls`` counts layers times passes, ``exact_flops`` are float32's."""

    flops: float = 0.0
    exact_flops: float = 0.0
    weight_bytes: float = 0.0
    other_bytes: float = 0.0
    calls: float = 0.0
    network_bytes: float = 0.0
    network_rate: float = math.inf


@dataclass(frozen=True)
class Model:
    """The models of a run and where they run. Args: student, teacher: architectures. work: a step. device: of all."""

    student: Architecture
    teacher: Architecture | None
    work: Workload
    device: Hardware

    @property
    def trained_parameters(self) -> int:
        """Weights with a gradient."""
        rank = self.work.lora_rank
        return self.student.num_parameters if rank is None else self.student.lora_parameters(rank)


def sampling(model: Model, *, replicas: int, width: int = 1, rows_at_once: int | None = None) -> Cost:
    """Prompts read once each, then token after token; each replica has its part of the rollouts.

    Args:
        width: devices of one replica. rows_at_once: rollouts that it holds; None as many as the recipe says.
    """
    work, student, dtype = model.work, model.student, model.work.student_dtype
    used = min(replicas, work.rollouts)
    rows = math.ceil(work.rollouts / used)
    at_once = max(1, min(rows, rows_at_once or work.sampler_rows, work.sampler_rows))
    waves, prompts = math.ceil(rows / at_once), math.ceil(work.prompts / used)
    read = prompts * work.prompt_tokens
    steps, size = waves * work.completion_tokens, BYTES[dtype]
    drawn = rows * work.completion_tokens
    context = work.prompt_tokens + work.completion_tokens / 2
    logits = 4 * student.vocab_size * _LOGIT_PASSES["sampling"] * (drawn + prompts)
    load = _Load(
        flops=student.layer_flops(read + drawn)
        + student.attention_flops(read, work.prompt_tokens / 2)
        + student.attention_flops(drawn, context),
        exact_flops=student.head_flops(drawn + prompts),
        weight_bytes=steps * (student.met_parameters(at_once) * size + student.head_parameters * 4),
        other_bytes=drawn * student.key_value_bytes(context, value_bytes=size)
        + _between(student, read + drawn, size)
        + _attended(model, student, read, work.prompt_tokens)
        + _attended(model, student, drawn, context)
        + logits,
        calls=(steps + waves) * student.num_layers,
    )
    return _cost(
        load, model, pace=model.device.sampling, dtype=dtype, tokens=work.completion_rows, replicas=used, width=width
    )


def scoring(model: Model, *, of: Architecture, replicas: int, width: int = 1, dtype: str | None = None) -> Cost:
    """One pass over every rollout, the head on completion rows, each replica with its part of the rollouts."""
    work = model.work
    precision = dtype or work.teacher_dtype
    used = min(replicas, work.rollouts)
    share = math.ceil(work.rollouts / used) / work.rollouts
    tokens, rows, size = share * work.tokens, share * work.completion_rows, BYTES[precision]
    passes = math.ceil(tokens / work.micro_batch_tokens)
    head_rows = 0.0 if work.full_vocabulary and of is model.teacher else rows
    load = _Load(
        flops=of.layer_flops(tokens) + of.attention_flops(tokens, work.context_tokens / 2) + of.head_flops(head_rows),
        weight_bytes=passes * (of.met_parameters(tokens / passes) + of.head_parameters) * size,
        other_bytes=_between(of, tokens, size)
        + _attended(model, of, tokens, work.context_tokens)
        + 4 * of.vocab_size * _LOGIT_PASSES["scoring"] * head_rows,
        calls=passes * of.num_layers,
    )
    return _cost(
        load, model, pace=model.device.scoring, dtype=precision, tokens=work.tokens, replicas=used, width=width
    )


def update(model: Model, *, ranks: int) -> Cost:
    """Forward, backward and optimiser; the weights are sharded over the ranks, which gather them for every pass."""
    work, student = model.work, model.student
    used = min(ranks, work.rollouts)
    share = math.ceil(work.rollouts / used) / work.rollouts
    tokens, rows = share * work.tokens, share * work.completion_rows
    passes = max(work.updates, math.ceil(tokens / work.micro_batch_tokens))
    size, adapters = BYTES[work.student_dtype], work.lora_rank is not None
    # The gradients of a frozen matrix are not made; an activation's always are.
    products, head_products = 2 + (not adapters) + work.checkpointing, 2 + (not adapters)
    forward = student.layer_flops(tokens) + student.attention_flops(tokens, work.context_tokens / 2)
    teacher_head = model.teacher.head_flops(rows) if work.full_vocabulary and model.teacher else 0.0
    optimizer = work.updates * model.trained_parameters * work.optimizer_bytes / ranks
    gathered = passes * (2 + work.checkpointing) * student.num_parameters * size
    reduced = passes * model.trained_parameters * 4
    load = _Load(
        flops=products * forward,
        exact_flops=(head_products + (1 if work.full_vocabulary else 0)) * student.head_flops(rows) + teacher_head,
        weight_bytes=passes * products * (student.met_parameters(tokens / passes) + student.head_parameters) * size,
        other_bytes=(1 + _BACKWARD)
        * (_between(student, tokens, 4) + _attended(model, student, tokens, work.context_tokens))
        + 4 * student.vocab_size * _LOGIT_PASSES["updating"] * rows * (2 if work.full_vocabulary else 1)
        + optimizer,
        calls=passes * student.num_layers * (1 + work.checkpointing),
        network_bytes=(gathered + reduced) * (ranks - 1) / ranks,
        network_rate=model.device.rate_between(ranks),
    )
    return _cost(
        load, model, pace=model.device.updating, dtype=work.student_dtype, tokens=work.tokens, replicas=used, width=1
    )


def push(model: Model, *, apart: bool, ranks: int) -> Cost:
    """The trained weights on their way to samplers elsewhere, all of them at one time, or gathered from the ranks."""
    moved: float = model.trained_parameters * BYTES[model.work.student_dtype]
    rate = model.device.network_rate if apart else model.device.rate_between(ranks)
    moved = moved if apart else moved * (ranks - 1) / ranks
    return Cost(network_bytes=moved, seconds=moved / rate, bound="network") if moved else Cost()


def reward(model: Model) -> Cost:
    """The world's own time; rollouts are played side by side, turns one after the other."""
    seconds = model.work.environment_seconds * model.work.turns
    return Cost(tokens=model.work.completion_rows, seconds=seconds, bound="waiting" if seconds else "nothing")


def _between(of: Architecture, tokens: float, value_bytes: int) -> float:
    """Bytes that norms, gates, rotations and residuals move in all layers, forward."""
    values = 6 * of.width + 4 * (of.inner + of.query + of.key)
    return _WRITTEN_AND_READ * of.num_layers * values * tokens * value_bytes


def _attended(model: Model, of: Architecture, tokens: float, context: float) -> float:
    """Bytes of attention's weights; without a fused kernel they are made for masked places as well."""
    return 4 * _ATTENTION_PASSES * of.attention_values(tokens, context) if model.device.writes_attention else 0.0


def _cost(load: _Load, model: Model, *, pace: Pace, dtype: str, tokens: float, replicas: int, width: int) -> Cost:
    """Seconds of one device, and the sums over all."""
    device = model.device
    memory = device.memory_rate * pace.traffic * width
    products = load.flops / device.flops(dtype) + load.exact_flops / device.float32_flops
    parts: dict[Bound, float] = {
        "products": products / pace.products / width,
        "weight reads": load.weight_bytes / memory,
        "other memory": load.other_bytes / memory,
        "calls": load.calls * pace.call_seconds,
        "network": load.network_bytes / load.network_rate,
    }
    here = max(parts["products"], parts["weight reads"]) + parts["other memory"] + parts["calls"]
    return Cost(
        tokens=tokens,
        flops=replicas * (load.flops + load.exact_flops),
        weight_bytes=replicas * load.weight_bytes,
        other_bytes=replicas * load.other_bytes,
        network_bytes=replicas * load.network_bytes,
        seconds=max(here, parts["network"]),
        bound=max(parts, key=lambda name: parts[name]),
        parts=parts,
    )
