"""From TRL's arguments to the recipe that does the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from understudy.errors import RecipeError
from understudy.trl.config import DistillationConfig, GKDConfig

Config = DistillationConfig | GKDConfig
_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant", "constant_with_warmup": "constant"}
_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")
_DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class Inputs:
    """What a trainer was given, as a recipe names it.

    Args:
        student, teacher: folder or hub name. tokenizer: a folder; None is the student's own.
        lora: a recipe's section; None trains every weight. data, evaluation: files of rows, by suite.
        num_rows: of ``data``.
    """

    student: str
    teacher: str
    tokenizer: str | None
    lora: Mapping[str, Any] | None
    data: Path
    evaluation: Mapping[str, Path]
    num_rows: int


def recipe_of(args: Config, inputs: Inputs) -> dict[str, Any]:
    """The recipe as plain values.

    Raises:
        RecipeError: an argument has a value that nothing here stands for.
    """
    folder = run_folder(args)
    steps = num_steps(args, num_rows=inputs.num_rows)
    return {
        "name": folder.name,
        "output": str(folder.parent),
        "seed": args.seed,
        "student": _student(args, inputs),
        "teacher": _teacher(args, inputs),
        "data": {"dataset": str(inputs.data), "shuffle": _shuffles(args)},
        "rollout": _rollout(args),
        "objective": _objective(args),
        "optimizer": _optimizer(args, steps),
        "steps": steps,
        "evaluation": _evaluation(args, inputs, steps),
        "checkpoint": _checkpoint(args, inputs, steps),
        "engine": _engine(args),
        "report_to": _trackers(args),
    }


def run_folder(args: Config) -> Path:
    """The run's folder: ``output_dir``, which transformers calls ``trainer_output`` where none is given."""
    return Path(args.output_dir or "trainer_output")


def num_steps(args: Config, *, num_rows: int) -> int:
    """Optimiser steps, as transformers counts them.

    Raises:
        RecipeError: the data are fewer than one step's prompts.
    """
    if args.max_steps > 0:
        return args.max_steps
    whole = num_rows // prompts_per_step(args)
    if not whole:
        raise RecipeError(
            "the train_dataset has fewer rows than one step takes",
            got=f"{num_rows}, steps of {prompts_per_step(args)}",
            remedy="Lower per_device_train_batch_size or gradient_accumulation_steps, or set max_steps.",
        )
    return math.ceil(args.num_train_epochs * whole)


def prompts_per_step(args: Config) -> int:
    """Prompts of one optimiser step."""
    return args.per_device_train_batch_size * args.gradient_accumulation_steps


def _student(args: Config, inputs: Inputs) -> dict[str, Any]:
    given = _dtype(args.model_init_kwargs, "model_init_kwargs")
    if given == "bfloat16":
        raise RecipeError(
            "model_init_kwargs asks for weights in bfloat16",
            remedy="A student's weights stay in float32 here; bf16=True runs its products in bfloat16.",
        )
    return {
        "model": inputs.student,
        **({"tokenizer": inputs.tokenizer} if inputs.tokenizer else {}),
        **({"lora": dict(inputs.lora)} if inputs.lora is not None else {}),
        "dtype": "bfloat16" if _bfloat16(args) else "float32",
        "trust_remote_code": args.trust_remote_code,
        "chat_template_kwargs": dict(getattr(args, "chat_template_kwargs", None) or {}),
    }


def _bfloat16(args: Config) -> bool:
    if args.bf16 is not None:
        return args.bf16
    return not args.use_cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def _teacher(args: Config, inputs: Inputs) -> dict[str, Any]:
    dtype = _dtype(args.teacher_model_init_kwargs, "teacher_model_init_kwargs")
    return {"model": inputs.teacher, "dtype": dtype or "float32", "trust_remote_code": args.trust_remote_code}


def _dtype(kwargs: Mapping[str, Any] | None, name: str) -> str | None:
    """The dtype among loading arguments; TRL's own default is float32."""
    kwargs = dict(kwargs or {})
    dtype = kwargs.pop("dtype", kwargs.pop("torch_dtype", None))
    dtype = _DTYPES.get(dtype, str(dtype)) if isinstance(dtype, torch.dtype) else dtype
    if kwargs or dtype not in (None, "float32", "bfloat16"):
        got = ", ".join(kwargs) or repr(dtype)
        raise RecipeError(f"{name} has what no recipe has", got=got, expected="dtype: float32 or bfloat16")
    return dtype


def _rollout(args: Config) -> dict[str, Any]:
    length = args.max_completion_length if isinstance(args, DistillationConfig) else args.max_new_tokens
    if length is None:
        raise RecipeError("max_completion_length is None", remedy="Name a number of tokens.")
    own: dict[str, Any] = {}
    if isinstance(args, DistillationConfig):
        own = {"top_p": float(args.top_p), "top_k": args.top_k}
        own |= {"show_every": max(1, int(args.logging_steps))} if args.log_completions else {}
        own |= {"server": _server(args)} if args.use_vllm else {}
    return {
        "prompts_per_step": prompts_per_step(args),
        "num_generations": 1,
        "max_completion_length": length,
        "temperature": float(args.temperature),
        **own,
    }


def _server(args: DistillationConfig) -> dict[str, Any]:
    """Where ``use_vllm`` with ``vllm_mode="server"`` has the rollouts drawn."""
    if args.vllm_mode != "server":
        raise RecipeError(
            f"use_vllm with vllm_mode={args.vllm_mode!r} has no counterpart here",
            expected="vllm_mode='server'",
            remedy="Leave use_vllm out, and this process samples by itself; or start `vllm serve` or `understudy serve "
            "MODEL --allow-updates`, and name it: vllm_mode='server', vllm_server_base_url='http://...'.",
        )
    host = "localhost" if args.vllm_server_host == "0.0.0.0" else args.vllm_server_host
    url = args.vllm_server_base_url or f"http://{host}:{args.vllm_server_port}"
    return {"urls": [url], "deadline_seconds": float(args.vllm_server_timeout)}


def _objective(args: Config) -> dict[str, Any]:
    share = float(args.lmbda) if isinstance(args, GKDConfig) else 1.0
    return {"method": "gkd", "beta": float(args.beta), "lmbda": share}


def _shuffles(args: Config) -> bool:
    """TRL's GKD draws its batches at random whatever ``shuffle_dataset`` says."""
    return isinstance(args, GKDConfig) or bool(args.shuffle_dataset)


def _optimizer(args: Config, steps: int) -> dict[str, Any]:
    schedule = getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)
    optimizer = getattr(args.optim, "value", args.optim)
    if schedule not in _SCHEDULES:
        raise RecipeError(f"lr_scheduler_type {schedule!r} is not known", expected=f"one of {', '.join(_SCHEDULES)}")
    if optimizer not in _OPTIMIZERS:
        raise RecipeError(
            f"optim {optimizer!r} is not known",
            expected=f"one of {', '.join(_OPTIMIZERS)}",
            remedy="optimizer.states: int8 in a recipe keeps AdamW's averages in a quarter of the memory.",
        )
    warmup = args.warmup_steps if args.warmup_steps >= 1 else math.ceil(steps * args.warmup_steps)
    return {
        "learning_rate": float(args.learning_rate),
        "schedule": _SCHEDULES[schedule],
        "warmup_steps": 0 if schedule == "constant" else int(warmup),
        "betas": [float(args.adam_beta1), float(args.adam_beta2)],
        "eps": float(args.adam_epsilon),
        "weight_decay": float(args.weight_decay),
        "max_grad_norm": float(args.max_grad_norm) if args.max_grad_norm else None,
    }


def _evaluation(args: Config, inputs: Inputs, steps: int) -> dict[str, Any]:
    strategy = _named(args.eval_strategy)
    if strategy == "no" and not args.eval_on_start:
        return {"suites": []}
    every = 0 if strategy == "no" else _every(args, strategy, args.eval_steps or args.logging_steps, steps, inputs)
    return {
        "every": every,
        "before": args.eval_on_start,
        "after": strategy != "no",
        "teacher": False,
        "suites": suites_of(inputs),
    }


def suites_of(inputs: Inputs) -> list[dict[str, Any]]:
    """One suite for each evaluation data set: the distance to the teacher on fresh answers, in nats a token."""
    return [{"name": name, "kind": "reverse_kl", "dataset": str(file)} for name, file in inputs.evaluation.items()]


def _checkpoint(args: Config, inputs: Inputs, steps: int) -> dict[str, Any]:
    strategy = _named(args.save_strategy)
    every = steps if strategy == "no" else _every(args, strategy, args.save_steps, steps, inputs)
    return {"every": every, "keep_last": args.save_total_limit or steps // every + 1}


def _every(args: Config, strategy: str, given: float, steps: int, inputs: Inputs) -> int:
    if strategy == "epoch":
        return max(1, inputs.num_rows // prompts_per_step(args))
    if strategy != "steps":
        raise RecipeError(f"the strategy {strategy!r} is not known", expected="no, steps or epoch")
    return max(1, math.ceil(given * steps) if given < 1 else int(given))


def _named(strategy: object) -> str:
    return str(getattr(strategy, "value", strategy))


def _engine(args: Config) -> dict[str, Any]:
    asked = args.activation_checkpointing if args.gradient_checkpointing is None else args.gradient_checkpointing
    checkpointing = {None: "auto", True: "on", False: "off"}[asked]
    return {"activation_checkpointing": checkpointing, **({"device": "cpu"} if args.use_cpu else {})}


def _trackers(args: Config) -> list[str]:
    given = [args.report_to] if isinstance(args.report_to, str) else list(args.report_to or [])
    return [name for name in given if name != "none"]
