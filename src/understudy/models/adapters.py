"""Low-rank adapters through PEFT, started from a keyed seed so that runs repeat."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
from safetensors.torch import load_file
from transformers import PreTrainedModel

from understudy.errors import ModelError, first_line
from understudy.randomness import derived_seed


class LoraSettings(Protocol):
    """What ``add_lora`` reads; the recipe's ``lora`` has these fields."""

    @property
    def rank(self) -> int:
        """Rank of the update."""
        ...

    @property
    def alpha(self) -> float:
        """The update is scaled by alpha / rank."""
        ...

    @property
    def dropout(self) -> float:
        """Probability of dropping an input of the adapter while training."""
        ...

    @property
    def target_modules(self) -> str | Sequence[str]:
        """Names of the modules to adapt; ``all-linear`` means every linear layer except the head."""
        ...


@dataclass(frozen=True)
class LoraConfig:
    """Plain ``LoraSettings``."""

    rank: int = 32
    alpha: float = 64.0
    dropout: float = 0.0
    target_modules: str | Sequence[str] = "all-linear"


def add_lora(model: PreTrainedModel, settings: LoraSettings, *, seed: int) -> PeftModel:
    """The model wrapped with fresh float32 adapters; only they take gradients. The start leaves its answers unchanged.

    Args:
        seed: the run's seed; the adapters' start is keyed by it and by nothing else.
    Raises:
        ModelError: no module of the model has such a name.
    """
    targets = settings.target_modules
    config = PeftLoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT divides it, a float is as good as an int
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    devices = [p.device for p in model.parameters() if p.device.type == "cuda"][:1]
    with torch.random.fork_rng(devices):
        torch.manual_seed(derived_seed(seed=seed, step=0, purpose="lora"))
        try:
            with warnings.catch_warnings():  # PEFT asks transformers through a name that it is giving up
                warnings.simplefilter("ignore", FutureWarning)
                wrapped = get_peft_model(model, config)
        except ValueError as error:
            raise ModelError(
                "no adapter could be added", got=first_line(error), remedy="Check target_modules."
            ) from error
    return wrapped.eval()


def read_adapter(model: PeftModel, folder: Path) -> None:
    """Fill the model's adapter from ``adapter_model.safetensors``; PEFT alone would leave out what does not fit.

    Raises:
        ModelError: the file lacks weights of the adapter, or holds some that the model has no place for, or of another
            shape; the model's adapter is as it was.
        OSError, SafetensorError, KeyError, RuntimeError: it cannot be read.
    """
    (name,) = model.peft_config
    given = load_file(folder / "adapter_model.safetensors")
    held = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    # Before anything is copied: the adapter may be the one that is in use.
    missing = [key for key in held if key not in given]
    other = [key for key, value in given.items() if key in held and held[key].shape != value.shape]
    kind: Any = model.peft_config[name].peft_type
    surplus = [key for key in given if PEFT_TYPE_TO_PREFIX_MAPPING.get(kind, "") in key and key not in held]
    for fault, keys in (("no", missing), ("another shape of", other), ("no place for", surplus)):
        _refuse(folder, fault, keys)
    found: Any = set_peft_model_state_dict(model, given, adapter_name=name)
    _refuse(folder, "no place for", found.unexpected_keys)


def _refuse(folder: Path, fault: str, keys: Sequence[str]) -> None:
    if keys:
        raise ModelError(
            f"the adapter in {folder} is not one of this model",
            got=f"{fault} {', '.join(keys[:2])}{' ...' if len(keys) > 2 else ''}",
            remedy="Check that its copy is complete, and that it was made for this base model.",
        )
