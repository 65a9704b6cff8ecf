"""A sharded policy's files: the model in Hugging Face form, the trainer's state as safetensors of each rank, no pickle.

torch.distributed.checkpoint writes and reads the parts through its Hugging Face storage, which keeps where a part
stands in the header of each safetensors file; its usual storage has a pickled index, which nobody here reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.tensor import DTensor

from understudy.engines.cluster.group import Group
from understudy.engines.cluster.sharding import like, part_of, shard_of
from understudy.engines.local import checkpoint as local
from understudy.engines.local.checkpoint import TrainerState, read_counters, write_counters, write_model
from understudy.engines.local.weights import NamedTensors
from understudy.errors import CheckpointError, first_line
from understudy.written_whole import said_by_disk

__all__ = ["Saved", "global_state", "read", "write", "write_model"]

_PARTS, _WEIGHT = local.PARTS, "weight"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, eq=False)
class Saved:
    """What a folder holds, cut to this rank.

    Args:
        state: counters. weights: parts by parameter name. moments: the optimiser's state of each, empty before the
            first update. average: exponential average, empty when none was asked for.
    """

    state: TrainerState
    weights: NamedTensors
    moments: Mapping[str, NamedTensors]
    average: NamedTensors


def global_state(
    sharded: Mapping[str, nn.Parameter],
    shards: Mapping[str, Tensor],
    *,
    moments: Mapping[str, Mapping[str, Tensor]],
    average: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Every part of this rank as a tensor of the weight's global shape, by ``KIND.NAME``."""
    state: dict[str, Tensor] = {}
    for name, p in sharded.items():
        state[f"{_WEIGHT}.{name}"] = like(p, shards[name].detach())
        for kind, value in moments[name].items():
            state[f"{kind}.{name}"] = like(p, value) if kind in _MOMENTS else value
        if name in average:
            state[f"ema.{name}"] = like(p, average[name])
    return state


def write(folder: Path, counters: TrainerState, state: Mapping[str, Tensor], *, group: Group) -> None:
    """Write this rank's parts into ``folder/trainer`` and, on the first rank, the counters.

    Raises:
        OSError: on every rank, where the disk refused the parts of one.
    """
    parts = folder / _PARTS
    if group.rank == 0:
        parts.mkdir(parents=True, exist_ok=True)
        write_counters(folder, counters)
    dist.barrier(group=group.control)
    writer = HuggingFaceStorageWriter(str(parts), save_distributed=True)
    try:
        dcp.save(dict(state), storage_writer=writer, process_group=group.control)
    except dcp.CheckpointException as error:  # no Exception, so that nobody above would take it for one
        rank, why = _first_failure(error)
        raise OSError(f"rank {rank}: {why}") from error


def _first_failure(error: dcp.CheckpointException) -> tuple[int, str]:
    rank, (failure, _) = min(error.failures.items(), key=lambda one: one[0])
    if isinstance(failure, Exception) and (why := said_by_disk(failure)) is not None:
        return rank, why
    raise RuntimeError(f"rank {rank} cannot write its parts: {first_line(failure)}") from failure


def read(
    folder: Path,
    sharded: Mapping[str, nn.Parameter],
    *,
    whole: nn.Module | None,
    group: Group,
    with_average: bool,
) -> Saved:
    """Read what ``write`` wrote on any number of ranks, or what the local engine wrote.

    Args:
        sharded: the weights it is for. whole: the model not cut, on the first rank at least.
    Raises:
        CheckpointError: on every rank where it is broken; nothing has changed then.
    """
    counters = read_counters(folder)
    if (folder / _PARTS).is_dir():
        return _read_parts(folder / _PARTS, counters, sharded, group=group, with_average=with_average)
    return _read_local(folder, counters, sharded, whole=whole, group=group, with_average=with_average)


def _read_parts(
    parts: Path, counters: TrainerState, sharded: Mapping[str, nn.Parameter], *, group: Group, with_average: bool
) -> Saved:
    reader = HuggingFaceStorageReader(str(parts))
    try:
        known = set(reader.read_metadata().state_dict_metadata)
        has_moments = any(name.startswith("exp_avg.") for name in known)
        state = _blank(sharded, has_moments=has_moments, with_average=with_average)
        missing = sorted(set(state) - known)
        if missing:
            raise CheckpointError("the trainer state is of another model", got=f"no {missing[0]}")
        dcp.load(state, storage_reader=reader, process_group=group.control)
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, dcp.CheckpointException) as error:
        raise CheckpointError("the trainer state cannot be read", got=f"{parts}: {first_line(error)}") from error
    return _saved(counters, state, sharded)


def _blank(sharded: Mapping[str, nn.Parameter], *, has_moments: bool, with_average: bool) -> dict[str, Tensor]:
    shards = {name: torch.zeros_like(shard_of(p)) for name, p in sharded.items()}
    moments: dict[str, dict[str, Tensor]] = {name: {} for name in sharded}
    if has_moments:
        for name, shard in shards.items():
            moments[name] = {kind: torch.zeros_like(shard) for kind in _MOMENTS} | {"step": torch.zeros(())}
    average = {name: torch.zeros_like(shard) for name, shard in shards.items()} if with_average else {}
    return global_state(sharded, shards, moments=moments, average=average)


def _saved(counters: TrainerState, state: Mapping[str, Tensor], sharded: Mapping[str, nn.Parameter]) -> Saved:
    def part(key: str) -> Tensor:
        value = state[key]
        return value.to_local().detach() if isinstance(value, DTensor) else value

    kinds = [kind for kind in (*_MOMENTS, "step") if f"{kind}.{next(iter(sharded))}" in state]
    return Saved(
        counters,
        weights={name: part(f"{_WEIGHT}.{name}") for name in sharded},
        moments={name: {kind: part(f"{kind}.{name}") for kind in kinds} for name in sharded} if kinds else {},
        average={name: part(f"ema.{name}") for name in sharded if f"ema.{name}" in state},
    )


def _read_local(
    folder: Path,
    counters: TrainerState,
    sharded: Mapping[str, nn.Parameter],
    *,
    whole: nn.Module | None,
    group: Group,
    with_average: bool,
) -> Saved:
    """What one process wrote: read by the first rank, handed out by parts."""
    found: dict[str, Tensor] = {}
    told: dict[str, object] = {}
    if group.rank == 0:
        assert whole is not None
        try:
            full = dict(whole.named_parameters())
            saved = local.read(
                folder, whole, {name: full[name] for name in sharded}, states="float32", with_average=with_average
            )
            found = _flat(saved)
            told = {"names": sorted(found)}
        except CheckpointError as error:
            told = {"fault": str(error)}
    told = json.loads(group.gather(json.dumps(told).encode())[0])
    if "fault" in told:
        raise CheckpointError(str(told["fault"]))
    has_moments = any(str(name).startswith("exp_avg.") for name in told["names"])  # type: ignore[attr-defined]
    state = _blank(sharded, has_moments=has_moments, with_average=with_average)
    for key, value in state.items():
        source = found[key].clone() if found else torch.empty(value.shape, dtype=value.dtype)
        dist.broadcast(source, 0, group=group.control)
        if isinstance(value, DTensor):
            value.to_local().copy_(part_of(value, source))
        else:
            value.copy_(source)
    return _saved(counters, state, sharded)


def _flat(saved: local.Saved) -> dict[str, Tensor]:
    flat = {f"{_WEIGHT}.{name}": value for name, value in saved.weights.items()}
    flat |= {f"{kind}.{name}": value for name, kinds in saved.moments.items() for kind, value in kinds.items()}
    return flat | {f"ema.{name}": value for name, value in saved.average.items()}
