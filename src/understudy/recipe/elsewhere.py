"""Where a key that stands in the wrong place belongs: under another section, or under our name for it."""

from __future__ import annotations

from understudy.recipe.outline import Path

_OURS = {
    "rollout.prompts_per_step": "batch_size train_batch_size groups_per_batch per_device_train_batch_size",
    "rollout.num_generations": "n group_size num_rollouts",
    "rollout.max_completion_length": "max_tokens max_new_tokens max_response_length",
    "optimizer.learning_rate": "lr",
    "optimizer.schedule": "lr_scheduler_type lr_schedule",
    "optimizer.max_grad_norm": "clip_grad grad_clip",
    "steps": "max_steps num_train_epochs epochs total_training_steps",
    "checkpoint.every": "save_steps save_every save_freq",
    "evaluation.every": "eval_steps eval_every test_freq",
    "student.model": "model_name model_name_or_path",
    "student.lora.rank": "lora_rank lora_r",
    "teacher.model": "teacher_model teacher_model_name_or_path",
    "objective.coefficient": "kl_penalty_coef kl_coef",
    "objective.discount": "kl_discount_factor",
    "objective.method": "loss_mode loss_type",
    "output": "output_dir",
    "data.verifier": "reward_funcs reward_fn reward",
}
"""Our field, and what TRL, verl and tinker-cookbook call it."""

_BY_THEIR_NAME = {theirs: ours for ours, names in _OURS.items() for theirs in names.split()}


def belongs(path: Path) -> str | None:
    """The field that somebody meant who wrote a key which ``path`` has no place for; None where nothing is like it.

    Suites and data sets have fields of their own under the same names, so nothing is said of keys below these.
    """
    from understudy.recipe.sections import sections  # which reads every section, and this may be asked by one

    if path[0] in ("evaluation", "data"):
        return None
    key = str(path[-1])
    same = [f"{one.path}.{key}".strip(".") for one in sections() if any(field.name == key for field in one.fields)]
    return _BY_THEIR_NAME.get(key) or next(iter(same), None)
