"""Files of a policy: the model in Hugging Face form, the trainer's state in JSON and safetensors, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint import HuggingFaceStorageReader
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from understudy.engines.local.optimizer_states import Form, States, state_forms
from understudy.engines.local.weights import NamedTensors
from understudy.errors import CheckpointError, UnderstudyError, first_line

_STATE, _TENSORS = "trainer.json", "trainer.safetensors"
PARTS = "trainer"
"""Folder of the trainer's state in parts, one or more files a rank, where ranks wrote it."""


@dataclass(frozen=True)
class TrainerState:
    """Counters of a policy.

    Args:
        updates: optimiser steps taken. version: last published version.
    """

    updates: int
    version: int


def write_model(folder: Path, model: Any, tokenizer: PreTrainedTokenizerBase | None) -> Path:
    """Write ``folder/model`` (plain ``AutoModelForCausalLM``) or ``folder/adapter`` (``PeftModel``)."""
    adapted = isinstance(model, PeftModel)
    target = folder / ("adapter" if adapted else "model")
    target.mkdir(parents=True, exist_ok=True)
    if adapted:
        model.save_pretrained(target, safe_serialization=True, save_embedding_layers=False)
    else:
        model.save_pretrained(target)
    if tokenizer is not None:
        tokenizer.save_pretrained(target)
    return target


def write_trainer(folder: Path, state: TrainerState, tensors: Mapping[str, Tensor]) -> None:
    """Write counters and tensors beside the model."""
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, folder / _TENSORS)
    write_counters(folder, state)


def write_counters(folder: Path, state: TrainerState) -> None:
    """Write counters alone."""
    (folder / _STATE).write_text(json.dumps(asdict(state), indent=2) + "\n")


def read_counters(folder: Path) -> TrainerState:
    """Read them back; raises CheckpointError."""
    try:
        state = TrainerState(**json.loads((folder / _STATE).read_text()))
        if not (type(state.updates) is type(state.version) is int and min(state.updates, state.version) >= 0):
            raise ValueError(f"updates {state.updates!r}, version {state.version!r} are no counts")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _unreadable(folder, error) from error
    return state


@dataclass(frozen=True, eq=False)
class Saved:
    """What a folder holds, checked against the parameters it is for.

    Args:
        state: counters. weights: by parameter name. moments: the optimiser's state by parameter name, empty before
            the first update. average: exponential average by parameter name, empty when none was asked for.
    """

    state: TrainerState
    weights: NamedTensors
    moments: dict[str, NamedTensors]
    average: NamedTensors


def read(
    folder: Path, model: nn.Module, parameters: Mapping[str, nn.Parameter], *, states: States, with_average: bool
) -> Saved:
    """Read what ``write_model`` and ``write_trainer`` wrote; raises CheckpointError before anything has changed.

    Args:
        states: how the optimiser keeps its averages; the file must have them so.
    """
    state, tensors = read_counters(folder), _read_tensors(folder)
    moments: dict[str, NamedTensors] = {}
    if any(key.startswith("exp_avg.") for key in tensors):  # none before an update that moved weights
        moments = {name: _moments(tensors, name, state_forms(p, states)) for name, p in parameters.items()}
    average = {name: _tensor(tensors, f"ema.{name}", p.shape) for name, p in parameters.items()} if with_average else {}
    return Saved(state, _read_model(folder, model, parameters), moments, average)


def _read_tensors(folder: Path) -> NamedTensors:
    try:
        return _joined(folder / PARTS) if (folder / PARTS).is_dir() else load_file(folder / _TENSORS)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> CheckpointError:
    return CheckpointError("the trainer state cannot be read", got=f"{folder}: {first_line(error)}")


def _joined(parts: Path) -> NamedTensors:
    """Tensors that ranks wrote in parts, whole."""
    reader = HuggingFaceStorageReader(str(parts))
    try:
        known = reader.read_metadata().state_dict_metadata.items()
        state = {key: torch.zeros(one.size, dtype=one.properties.dtype) for key, one in known}  # type: ignore[union-attr]
        dcp.load(state, storage_reader=reader, no_dist=True)
    except dcp.CheckpointException as error:
        raise ValueError(str(error)) from error
    return state


def _read_model(folder: Path, model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> NamedTensors:
    try:
        if isinstance(model, PeftModel):
            return _read_adapter(folder / "adapter", model, parameters)
        return _read_full(folder / "model", parameters)
    except UnderstudyError:
        raise
    except Exception as error:  # settings are read by transformers, whose kinds of errors are many
        raise CheckpointError("the saved model cannot be read", got=f"{folder}: {first_line(error)}") from error


def _moments(tensors: Mapping[str, Tensor], name: str, forms: Mapping[str, Form]) -> NamedTensors:
    first = _tensor(tensors, f"exp_avg.{name}", forms["exp_avg"].shape)
    found = {key: tensors[f"{key}.{name}"] for key in forms if f"{key}.{name}" in tensors}
    if {key: Form(tuple(value.shape), value.dtype) for key, value in found.items()} != forms:
        raise CheckpointError(
            "the optimiser's averages were saved in another form",
            got=f"{first.dtype} for {name}",
            expected=forms["exp_avg"].dtype,
            remedy="Resume with the optimizer.states of the run.",
        )
    return found


def _tensor(tensors: Mapping[str, Tensor], name: str, shape: Sequence[int]) -> Tensor:
    found = tensors.get(name)
    if found is None or tuple(found.shape) != tuple(shape):
        got = f"no {name}" if found is None else f"{name} of {list(found.shape)}"
        raise CheckpointError("the trainer state is of another model", got=got, expected=f"{list(shape)}")
    return found


def _read_full(folder: Path, parameters: Mapping[str, nn.Parameter]) -> NamedTensors:
    # Through transformers, which knows how its files name and tie weights; a plain read of the files does not.
    dtype = next(iter(parameters.values())).dtype
    load: Any = AutoModelForCausalLM.from_pretrained
    saved, report = load(folder, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True)
    if report.get("missing_keys"):
        raise KeyError(f"missing {sorted(report['missing_keys'])[:3]}")
    return _matching(dict(saved.named_parameters()), parameters)


def _read_adapter(folder: Path, model: PeftModel, parameters: Mapping[str, nn.Parameter]) -> NamedTensors:
    saved = load_file(folder / "adapter_model.safetensors")
    by_pointer = {p.data_ptr(): name for name, p in parameters.items()}
    # The file's names differ from the module's; PEFT's own state dict gives the link.
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    renamed = {by_pointer[value.data_ptr()]: saved[key] for key, value in own.items()}
    return _matching(renamed, parameters)


def _matching(found: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> NamedTensors:
    for name, p in parameters.items():
        if name not in found or found[name].shape != p.shape:
            raise KeyError(f"{name} is missing or of another shape")
    return {name: torch.as_tensor(found[name]).detach() for name in parameters}
