"""What becomes of every argument of TRL's configs: a field of a recipe, nothing that could matter, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["mapped", "no effect", "refused"]


@dataclass(frozen=True)
class Fate:
    """What becomes of an argument.

    Args:
        kind: ``mapped`` to a recipe's field; ``no effect`` where no value could change a result here; ``refused`` when
            it differs from its default. text: the field and how; why; what to do instead.
    """

    kind: Kind
    text: str


_MAPPED = {
    "output_dir": "`output` and `name`: the run's folder is `output_dir`",
    "per_device_train_batch_size": "`rollout.prompts_per_step`, times gradient_accumulation_steps",
    "gradient_accumulation_steps": "`rollout.prompts_per_step`, times per_device_train_batch_size",
    "num_train_epochs": "`steps`: epochs times the whole steps in the data, rounded up",
    "max_steps": "`steps`, when positive",
    "learning_rate": "`optimizer.learning_rate`",
    "lr_scheduler_type": "`optimizer.schedule`: linear, cosine, constant, constant_with_warmup; others are refused",
    "warmup_steps": "`optimizer.warmup_steps`; below 1 a share of the steps. TRL's rate begins at 0, ours above",
    "optim": "AdamW for adamw_torch and adamw_torch_fused; others are refused",
    "weight_decay": "`optimizer.weight_decay`",
    "adam_beta1": "`optimizer.betas`",
    "adam_beta2": "`optimizer.betas`",
    "adam_epsilon": "`optimizer.eps`",
    "max_grad_norm": "`optimizer.max_grad_norm`; 0 is null",
    "bf16": "`student.dtype: bfloat16`: products in bfloat16, weights in float32. None: where a GPU can, else float32",
    "gradient_checkpointing": "`engine.activation_checkpointing`: on, off; None is auto. It changes no result",
    "activation_checkpointing": "the same under its newer name",
    "use_cpu": "`engine.device: cpu`",
    "seed": "`seed`",
    "report_to": "`report_to`: tensorboard, wandb, trackio; others are refused",
    "disable_tqdm": "no progress is shown when true",
    "eval_strategy": "`evaluation.every`: steps or epoch; no: only when evaluate() is called",
    "eval_steps": "`evaluation.every`; None is logging_steps",
    "eval_on_start": "`evaluation.before`",
    "save_strategy": "`checkpoint.every`: steps or epoch; no: only the last. best is refused",
    "save_steps": "`checkpoint.every`; a share of the steps below 1",
    "save_total_limit": "`checkpoint.keep_last`; None keeps all",
    "logging_steps": "`rollout.show_every`, with log_completions; metrics.jsonl has every step",
    "log_completions": "`rollout.show_every` is logging_steps; every completion is in rollouts/ in any case",
    "push_to_hub": "pushed once, when train() ends",
    "hub_model_id": "where push_to_hub pushes to: OWNER/NAME",
    "hub_private_repo": "whether a new repository is private",
    "resume_from_checkpoint": "true resumes the run in output_dir, bit for bit; a path is refused",
    "trust_remote_code": "`student.trust_remote_code`, `teacher.trust_remote_code`",
    "model_init_kwargs": "`student.dtype` from dtype (float32 or bfloat16); other keys are refused",
    "teacher_model_init_kwargs": "`teacher.dtype` from dtype (float32 or bfloat16); other keys are refused",
    "teacher_model_name_or_path": "`teacher.model`, where the trainer is given none",
    "shuffle_dataset": "`data.shuffle`; in GKDConfig without effect, as its batches are drawn at random either way",
    "max_completion_length": "`rollout.max_completion_length`; None is refused",
    "use_vllm": "`rollout.server` with vllm_mode='server'; in one process the sampler is ours, and it is refused",
    "vllm_mode": "'server': `rollout.server`, which is `vllm serve` or `understudy serve`, not `trl vllm-serve`",
    "vllm_server_base_url": "`rollout.server.urls`",
    "vllm_server_host": "`rollout.server.urls`, where there is no vllm_server_base_url; 0.0.0.0 is this machine",
    "vllm_server_port": "the same",
    "vllm_server_timeout": "`rollout.server.deadline_seconds`: so long a server that is down is waited for",
    "temperature": "`rollout.temperature`, of sampling and loss",
    "top_p": "`rollout.top_p`",
    "top_k": "`rollout.top_k`",
    "chat_template_kwargs": "`student.chat_template_kwargs`",
    "beta": "`objective.beta` of method gkd: 0 forward KL, 1 reverse KL, between them Jensen-Shannon",
    "lmbda": "`objective.lmbda` of method gkd, drawn for each prompt; TRL draws once for a whole batch",
    "max_new_tokens": "`rollout.max_completion_length`",
    "max_length": "a row of more tokens is refused, not cut; the template's own are not counted",
    "disable_dropout": "dropout is always off; a student whose config has some is refused unless this is true",
}

_NO_EFFECT: Mapping[str, str] = {
    "every step is in metrics.jsonl and goes to the trackers": "logging_strategy logging_first_step",
    "one message for each mistake, on standard error": "log_level log_level_replica log_on_each_node",
    "a loss that is not finite ends the run with its rollouts named": "logging_nan_inf_filter",
    "only the speed of evaluation": (
        "per_device_eval_batch_size eval_accumulation_steps eval_do_concat_batches eval_use_gather_object"
    ),
    "evaluate() returns figures only": "prediction_loss_only",
    "a script's own switches; no trainer reads them": "do_train do_eval do_predict",
    "a run repeats bit for bit on one machine in any case": "full_determinism",
    "prompts are in memory, nothing is loaded while training": (
        "dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor "
        "dataloader_multiprocessing_context"
    ),
    "every step is full; what is left of an epoch begins the next": "dataloader_drop_last",
    "rows keep their order": "dataloader_in_order",
    "other columns are carried along and change nothing": "remove_unused_columns dataset_num_proc",
    "contexts are packed, there is no padding to round": "pad_to_multiple_of packing_strategy",
    "no result depends on the padding token": "pad_token",
    "lengths are known; batches are cut by tokens": "length_column_name auto_find_batch_size",
    "memory is managed without it": "torch_empty_cache_steps",
    "one process; nothing to wait for": "ddp_timeout local_rank average_tokens_across_devices",
    "a server's own settings, given where it is started": (
        "vllm_model_impl vllm_group_port vllm_tensor_parallel_size vllm_gpu_memory_utilization "
        "vllm_max_model_length vllm_enable_sleep_mode"
    ),
    "files are written once, by one process": "save_on_each_node",
    "sampling has its own cache": "use_cache",
}
"""Why no value could change a result, and the arguments of which that is true."""

_REFUSED: Mapping[str, str] = {
    "schedule and optimiser take no further settings here": "lr_scheduler_kwargs optim_args",
    "every trained weight has one learning rate": "optim_target_modules",
    "use bf16": "fp16 fp16_full_eval",
    "bf16 decides for training and evaluation alike": "bf16_full_eval tf32",
    "layers are recomputed whole, or not at all": (
        "gradient_checkpointing_kwargs activation_checkpointing_kwargs activation_offloading"
    ),
    "leave it out: our own kernels are used": (
        "use_liger_kernel liger_kernel_config torch_compile torch_compile_backend torch_compile_mode"
    ),
    "it would change the loss": "label_smoothing_factor neftune_noise_alpha router_aux_loss_coef",
    "the loss is the divergence of beta": "loss_type",
    "a run is called by its folder; leave it out": "run_name",
    "set WANDB_PROJECT or TRACKIO_PROJECT in the environment": "project",
    "set trackio's own environment variables": "trackio_space_id trackio_bucket_id trackio_static_space_id",
    "metrics.jsonl counts the tokens": "include_num_input_tokens_seen",
    "evaluate on eval_steps alone": "eval_delay",
    "write a suite in a recipe's evaluation": "include_for_metrics batch_eval_metrics label_names",
    "a checkpoint always has what a resume needs": "save_only_model enable_jit_checkpoint",
    "log in, or set HF_TOKEN: a secret stands in no recipe": "hub_token",
    "weights are pushed once, at the end": "hub_strategy hub_always_push hub_revision",
    "set checkpoint.keep_best and evaluation.suites in a recipe": "load_best_model_at_end",
    "set checkpoint.keep_best in a recipe": "metric_for_best_model greater_is_better",
    "a resumed run repeats the lost steps": "ignore_data_skip restore_callback_states_from_checkpoint",
    "one seed draws everything": "data_seed",
    "use torchrun and a recipe with engine: {kind: cluster}": (
        "accelerator_config parallelism_config ddp_bucket_cap_mb ddp_broadcast_buffers "
        "fsdp fsdp_config deepspeed ddp_find_unused_parameters ddp_static_graph ddp_backend ds3_gather_for_generation"
    ),
    "use shuffle_dataset": "train_sampling_strategy",
    "use understudy train --traceback, or understudy bench speed": "debug skip_memory_metrics",
    "download that revision, and name its folder": "teacher_model_revision",
    "a sampler that a loss is computed for has temperature, top_p and top_k": (
        "min_p generation_kwargs repetition_penalty vllm_structured_outputs_regex"
    ),
    "the sampler has a cache of its own": "cache_implementation",
    "use an environment with tools (docs/tools.md)": "max_tool_calling_iterations",
    "every completion is in rollouts/; one is shown": "num_completions_to_print log_unique_prompts",
    "method seq_kd in a recipe is sequence-level distillation": "seq_kd",
    "save the template with the tokenizer": "chat_template_path eos_token",
    "put the text into a column prompt or messages": "dataset_text_field dataset_kwargs",
    "a text that is too long is refused, not cut": "truncation_mode",
    "contexts are packed exactly, whatever is asked": "packing padding_free eval_packing",
    "what the student or the data completed is trained on": "completion_only_loss assistant_only_loss",
}
"""What to do instead, and the arguments that are refused."""


def _fates(kind: Kind, names_by_text: Mapping[str, str]) -> dict[str, Fate]:
    return {name: Fate(kind, text) for text, names in names_by_text.items() for name in names.split()}


FATES: Mapping[str, Fate] = {
    **{name: Fate("mapped", text) for name, text in _MAPPED.items()},
    **_fates("no effect", _NO_EFFECT),
    **_fates("refused", _REFUSED),
}
"""By the argument's name; an argument that stands here nowhere is refused when it differs from its default."""


def table() -> str:
    """Every argument and its fate, as a table of Markdown."""
    order: tuple[Kind, ...] = ("mapped", "no effect", "refused")
    rows = [f"| `{name}` | {fate.kind} | {fate.text} |" for kind in order for name, fate in _of_kind(kind)]
    return "\n".join(["| argument | | what becomes of it |", "|---|---|---|", *rows]) + "\n"


def _of_kind(kind: Kind) -> list[tuple[str, Fate]]:
    return [(name, fate) for name, fate in FATES.items() if fate.kind == kind]
