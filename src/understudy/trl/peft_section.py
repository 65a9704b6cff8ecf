"""PEFT's ``LoraConfig`` as a recipe's section, or a refusal."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from peft import LoraConfig, PeftConfig
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

from understudy.errors import RecipeError

_TAKEN = {"r", "lora_alpha", "lora_dropout", "target_modules"}
_NAMES = {"task_type", "peft_type", "peft_version", "base_model_name_or_path", "auto_mapping", "inference_mode"}
"""What a config says of itself, and nothing of the adapters."""


def lora_section(config: PeftConfig, *, model_type: str) -> dict[str, Any]:
    """``student.lora`` with the same adapters.

    Args:
        model_type: of the student; decides where adapters go when the config does not say.
    Raises:
        RecipeError: no ``LoraConfig``, or a setting that a recipe has no field for.
    """
    if type(config) is not LoraConfig:
        raise RecipeError("peft_config is no LoraConfig", got=type(config).__name__)
    plain = LoraConfig().to_dict()
    given = config.to_dict()
    other = [name for name in given if name not in _TAKEN | _NAMES and given[name] != plain.get(name)]
    if other:
        raise RecipeError(
            f"peft_config sets {', '.join(other)}, for which a recipe has no field",
            expected="r, lora_alpha, lora_dropout and target_modules",
        )
    return {
        "rank": config.r,
        "alpha": float(config.lora_alpha),
        "dropout": float(config.lora_dropout),
        "target_modules": _targets(config, model_type),
    }


def _targets(config: LoraConfig, model_type: str) -> str | list[str]:
    given: str | Collection[str] | None = config.target_modules
    if given is None:
        given = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(model_type)
        if given is None:
            raise RecipeError(f"PEFT knows no target_modules for {model_type}", remedy="Name them in peft_config.")
    return given if isinstance(given, str) else sorted(given)
