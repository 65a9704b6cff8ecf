"""TRL's configs: the same names and defaults, held by transformers' ``TrainingArguments``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from understudy.errors import RecipeError
from understudy.trl.fields import FATES


@dataclass
class _Arguments(TrainingArguments):
    """What both of TRL's configs add to transformers' arguments, or give another default."""

    logging_steps: float = 10
    gradient_checkpointing: bool | None = None
    bf16: bool | None = None  # type: ignore[assignment]
    lr_scheduler_kwargs: dict[str, Any] | str | None = None
    hub_strategy: str = "end"
    model_init_kwargs: dict[str, Any] | None = None
    trust_remote_code: bool = False
    teacher_model_name_or_path: str | None = None
    teacher_model_init_kwargs: dict[str, Any] | None = None
    pad_to_multiple_of: int | str | None = "auto"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """As transformers does it, without its demand that bfloat16 have a GPU; then what cannot be kept is refused."""
        _refuse(self)
        wanted = self.bf16
        self.bf16 = False
        TrainingArguments.__post_init__(self)
        self.bf16 = wanted


@dataclass
class DistillationConfig(_Arguments):
    """Arguments of ``DistillationTrainer``, with TRL 1.16's names and defaults.

    ``fields.FATES`` says what becomes of each: mapped to a field of a recipe, of no effect on any result here, or
    refused when it is not left at its default.

    Raises:
        RecipeError: an argument has a value that nothing here stands for.
    """

    learning_rate: float = 1e-6
    teacher_model_revision: str | None = None
    disable_dropout: bool = False
    remove_unused_columns: bool | None = False  # type: ignore[assignment]
    max_completion_length: int | None = 512
    ds3_gather_for_generation: bool = True
    shuffle_dataset: bool | None = True
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    generation_kwargs: dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    repetition_penalty: float = 1.0
    cache_implementation: str | None = None
    use_vllm: bool = False
    vllm_mode: str = "colocate"
    vllm_model_impl: str = "vllm"
    vllm_enable_sleep_mode: bool = False
    vllm_structured_outputs_regex: str | None = None
    vllm_server_base_url: str | None = None
    vllm_server_host: str = "0.0.0.0"
    vllm_server_port: int = 8000
    vllm_server_timeout: float = 240.0
    vllm_group_port: int = 51216
    vllm_gpu_memory_utilization: float = 0.3
    vllm_max_model_length: int | None = None
    vllm_tensor_parallel_size: int = 1
    beta: float = 1.0
    max_tool_calling_iterations: int | None = None
    log_completions: bool = False
    num_completions_to_print: int | None = None
    log_unique_prompts: bool = False


@dataclass
class GKDConfig(_Arguments):
    """Arguments of ``GKDTrainer``, with the names of TRL 1.16's, those of its ``SFTConfig`` among them.

    One default differs: ``temperature`` is 1. TRL samples at 0.9 and computes the loss at 1; here it is one number.
    """

    learning_rate: float = 2e-5
    router_aux_loss_coef: float | None = None
    chat_template_path: str | None = None
    dataset_text_field: str = "text"
    dataset_kwargs: dict[str, Any] | None = None
    dataset_num_proc: int | None = None
    eos_token: str | None = None
    pad_token: str | None = None
    max_length: int | None = 1024
    truncation_mode: str = "keep_start"
    shuffle_dataset: bool = False
    packing: bool = False
    packing_strategy: str = "bfd"
    padding_free: bool = False
    eval_packing: bool | None = None
    completion_only_loss: bool | None = None
    assistant_only_loss: bool = False
    loss_type: str = "nll"
    activation_offloading: bool = False
    lmbda: float = 0.5
    beta: float = 0.5
    max_new_tokens: int = 128
    disable_dropout: bool = True
    seq_kd: bool = False


def refused_of(args: TrainingArguments) -> list[str]:
    """Names of the arguments that differ from their defaults and that nothing here stands for."""
    return [name for name in _changed(args) if name not in FATES or FATES[name].kind == "refused"]


def _refuse(args: _Arguments) -> None:
    names = refused_of(args)
    if names:
        name = names[0]
        fate = FATES.get(name)
        remedy = fate.text if fate is not None else "leave it out"
        raise RecipeError(
            f"{type(args).__name__}({name}=...) has no counterpart here",
            got=repr(getattr(args, name)),
            expected="its default",
            remedy=f"Instead: {remedy}." + (f" The same holds for {', '.join(names[1:])}." if names[1:] else ""),
        )


def _changed(args: TrainingArguments) -> list[str]:
    """Fields whose value is not their default's, in the order of the class."""
    return [field.name for field in dataclasses.fields(args) if getattr(args, field.name) != _default(field)]


def _default(field: dataclasses.Field) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None
