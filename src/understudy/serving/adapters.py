"""LoRA adapters that come and go while the model is served."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from understudy.errors import first_line
from understudy.serving.refusal import Refusal, bad_request

_SETTINGS, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Adapters:
    """The adapters of one model; at most one is active at a time.

    Args:
        model: its linear layers are wrapped in place by the first adapter; without an active one they answer as before.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._peft: Any = None
        # PEFT makes a name part of module names, where a client's name could mean anything.
        self._slots: dict[str, str] = {}
        self._num_loaded = 0
        self.paths: dict[str, str] = {}
        self.active: str | None = None

    def load(self, name: str, path: str, *, inplace: bool) -> None:
        """Read an adapter in PEFT's layout and keep it under ``name``.

        Raises:
            Refusal: 404 no such folder or files; 400 the name is taken, or the adapter does not fit the model.
        """
        if name in self.paths and not inplace:
            raise bad_request(f"the adapter {name!r} has already been loaded", param="lora_name")
        folder = Path(path)
        _check_files(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                slot = self._read(folder)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
            raise bad_request(f"the adapter does not fit the model: {first_line(error)}", param="lora_path") from error
        finally:
            self._disable()
        if name in self.paths:  # only now: the one that is replaced stays where its successor is refused
            self._forget(self._slots[name])
        self._slots[name], self.paths[name] = slot, path

    def unload(self, name: str) -> None:
        """Forget an adapter; raises Refusal (404)."""
        if name not in self.paths:
            raise Refusal(404, f"the adapter {name!r} is not loaded", param="lora_name")
        self.activate(None)
        del self.paths[name]
        self._forget(self._slots.pop(name))

    def activate(self, name: str | None) -> None:
        """Answer with this adapter from now on; None for the model alone."""
        if self._peft is None or name == self.active:
            return
        if name is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(self._slots[name])
        self.active = name

    def base_state(self) -> dict[str, Tensor]:
        """The model's own state by the names it had before any adapter."""
        return _without_adapters(self._model.state_dict())

    def base_weights(self) -> dict[str, Tensor]:
        """The model's own weights, each once, by the names they had before any adapter."""
        return _without_adapters({name: weight.detach() for name, weight in self._model.named_parameters()})

    def _read(self, folder: Path) -> str:
        """Load the adapter into a slot of its own, which is its name; raises ValueError where it does not fit."""
        from peft import PeftConfig, PeftModel  # slow to import, needed for adapters only

        self._num_loaded += 1
        slot = f"slot{self._num_loaded}"
        try:
            if self._peft is None:
                self._peft = PeftModel(self._model, PeftConfig.from_pretrained(str(folder)), adapter_name=slot)
            self._peft.load_adapter(str(folder), adapter_name=slot)
            self._model.eval().requires_grad_(False)
            self._check_filled(slot, load_file(folder / _WEIGHTS))
        except BaseException:
            self._forget(slot)
            raise
        return slot

    def _check_filled(self, slot: str, given: Mapping[str, Tensor]) -> None:
        """Every weight of the slot is one of the file's and the other way round: PEFT leaves out what does not fit."""
        plain = {key.removeprefix("base_model.model."): value for key, value in given.items()}
        held = {key: value for key, value in self._model.state_dict().items() if f".{slot}." in key}
        wanted = {key.replace(f".{slot}.", "."): value for key, value in held.items()}
        for key, value in wanted.items():
            if key not in plain or plain[key].shape != value.shape:
                raise ValueError(f"no {key}")
        for key in plain:
            if key not in wanted:
                raise ValueError(f"no place for {key}")

    def _forget(self, slot: str) -> None:
        if self._peft is None:
            return
        if slot in self._peft.peft_config:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that another one became active, which ends with the next line
                self._peft.delete_adapter(slot)
        self._disable()

    def _disable(self) -> None:
        if self._peft is not None:
            self._peft.base_model.disable_adapter_layers()
        self.active = None


def _without_adapters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace(".base_layer.", "."): value for name, value in state.items() if ".lora_" not in name}


def _check_files(folder: Path) -> None:
    try:
        is_there = (folder / _SETTINGS).is_file() and (folder / _WEIGHTS).is_file()
    except OSError:  # a name longer than any file's
        is_there = False
    if not is_there:
        raise Refusal(404, f"lora_path holds no adapter: expected {_SETTINGS} and {_WEIGHTS}", param="lora_path")
    try:
        settings = json.loads((folder / _SETTINGS).read_text())
        weights = load_file(folder / _WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise bad_request(f"the adapter cannot be read: {first_line(error)}", param="lora_path") from error
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        raise bad_request("the adapter is not LoRA", param="lora_path")
    if settings.get("modules_to_save") or any("lm_head" in name for name in weights):
        raise bad_request("adapters that replace modules or change the output head are not served", param="lora_path")
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise bad_request("the adapter holds NaN or infinity", param="lora_path")
