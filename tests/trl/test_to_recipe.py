"""TRL's arguments become the recipe that does the same: values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from transformers.optimization import get_scheduler

from understudy.engines.local.optimizer import OptimizerConfig, learning_rate_at
from understudy.errors import RecipeError
from understudy.recipe import Recipe, recipe_from
from understudy.trl import DistillationConfig, GKDConfig
from understudy.trl.peft_section import lora_section
from understudy.trl.to_recipe import Inputs, recipe_of

INPUTS = Inputs(
    student="student",
    teacher="teacher",
    tokenizer=None,
    lora=None,
    data=Path("train.parquet"),
    evaluation={"eval": Path("eval.parquet")},
    num_rows=100,
)


def recipe(config: type[DistillationConfig] | type[GKDConfig] = DistillationConfig, **arguments: Any) -> Recipe:
    return recipe_from(recipe_of(config(**{"output_dir": "out/mine", **arguments}), INPUTS))


def test_defaults() -> None:
    """8 prompts a step of 100 rows are 12 whole steps an epoch, three epochs 36."""
    made = recipe()
    assert (made.run_directory, made.steps, made.seed) == (Path("out/mine"), 36, 42)
    assert made.objective.model_dump() == {**made.objective.model_dump(), "method": "gkd", "beta": 1.0, "lmbda": 1.0}
    assert (made.rollout.prompts_per_step, made.rollout.num_generations) == (8, 1)
    assert made.rollout.max_completion_length == 512
    assert (made.optimizer.learning_rate, made.optimizer.schedule, made.optimizer.betas) == (
        1e-6,
        "linear",
        (0.9, 0.999),
    )
    assert (made.student.dtype, made.evaluation.suites) == ("float32", ())


@pytest.mark.parametrize(
    ("arguments", "where", "value"),
    [
        ({"gradient_accumulation_steps": 4}, "rollout.prompts_per_step", 32),
        ({"num_train_epochs": 0.5}, "steps", 6),
        ({"max_steps": 7}, "steps", 7),
        ({"max_steps": 50, "warmup_steps": 0.1}, "optimizer.warmup_steps", 5),
        ({"lr_scheduler_type": "cosine"}, "optimizer.schedule", "cosine"),
        ({"lr_scheduler_type": "constant", "warmup_steps": 5}, "optimizer.warmup_steps", 0),
        ({"max_grad_norm": 0.0}, "optimizer.max_grad_norm", None),
        ({"bf16": True}, "student.dtype", "bfloat16"),
        ({"gradient_checkpointing": False}, "engine.activation_checkpointing", "off"),
        ({"use_cpu": True}, "engine.device", "cpu"),
        ({"eval_strategy": "steps", "eval_steps": 5}, "evaluation.every", 5),
        ({"eval_strategy": "epoch"}, "evaluation.every", 12),
        ({"save_strategy": "no"}, "checkpoint.every", 36),
        ({"save_steps": 0.25}, "checkpoint.every", 9),
        ({"save_total_limit": 3}, "checkpoint.keep_last", 3),
        ({"report_to": "tensorboard"}, "report_to", ("tensorboard",)),
        ({"beta": 0.25}, "objective.beta", 0.25),
        ({"temperature": 0.7}, "rollout.temperature", 0.7),
        ({"top_p": 0.9}, "rollout.top_p", 0.9),
        ({"top_k": 20}, "rollout.top_k", 20),
        ({"log_completions": True}, "rollout.show_every", 10),
        ({"shuffle_dataset": False}, "data.shuffle", False),
        ({"model_init_kwargs": {"dtype": torch.float32}}, "student.model", "student"),
        ({"teacher_model_init_kwargs": {"dtype": "bfloat16"}}, "teacher.dtype", "bfloat16"),
        (
            {"chat_template_kwargs": {"enable_thinking": False}},
            "student.chat_template_kwargs",
            {"enable_thinking": False},
        ),
        ({"trust_remote_code": True}, "teacher.trust_remote_code", True),
        ({"disable_tqdm": True}, "steps", 36),
    ],
)
def test_an_argument_is_a_field(arguments: dict[str, Any], where: str, value: object) -> None:
    found: Any = recipe(**arguments)
    for name in where.split("."):
        found = getattr(found, name)
    assert found == value


def test_gkd_mixes_the_datas_completions_in_and_draws_at_random() -> None:
    made = recipe(GKDConfig, lmbda=0.25, max_new_tokens=32)
    assert (made.objective.model_dump()["lmbda"], made.rollout.max_completion_length) == (0.25, 32)
    assert (made.objective.model_dump()["beta"], made.optimizer.learning_rate, made.data.shuffle) == (0.5, 2e-5, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr_scheduler_type": "polynomial"}, "lr_scheduler_type 'polynomial' is not known"),
        ({"optim": "sgd"}, "optim 'sgd' is not known"),
        ({"max_completion_length": None}, "max_completion_length is None"),
        ({"model_init_kwargs": {"dtype": "bfloat16"}}, "bf16=True runs its products in bfloat16"),
        ({"model_init_kwargs": {"attn_implementation": "eager"}}, "attn_implementation"),
        ({"per_device_train_batch_size": 101}, "fewer rows than one step takes"),
        ({"save_strategy": "best", "metric_for_best_model": None}, "strategy 'best'"),
        ({"report_to": "mlflow"}, "report_to"),
        ({"min_p": 0.1}, "temperature, top_p and top_k"),
    ],
)
def test_what_nothing_here_stands_for_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(**arguments)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_schedules_are_transformers(schedule: str) -> None:
    """Without warm-up to the last digit; with it the first rates are one step ahead, and the rest are equal."""
    for warmup in (0, 3):
        if schedule == "constant" and warmup:
            continue
        settings = OptimizerConfig(learning_rate=1.0, schedule=schedule, warmup_steps=warmup)  # type: ignore[arg-type]
        ours = [learning_rate_at(update, settings=settings, total_updates=10) for update in range(10)]
        theirs = rates_of_transformers(schedule, warmup=warmup, steps=10)
        assert ours[warmup:] == pytest.approx(theirs[warmup:], abs=1e-12)
        assert theirs[:warmup] == pytest.approx([update / 3 for update in range(warmup)])
        assert ours[:warmup] == pytest.approx([(update + 1) / 3 for update in range(warmup)])


def rates_of_transformers(name: str, *, warmup: int, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


def test_adapters() -> None:
    made = lora_section(LoraConfig(r=4, lora_alpha=8, target_modules=["v_proj", "q_proj"]), model_type="qwen3")
    assert made == {"rank": 4, "alpha": 8.0, "dropout": 0.0, "target_modules": ["q_proj", "v_proj"]}
    assert lora_section(LoraConfig(), model_type="qwen3")["target_modules"] == ["q_proj", "v_proj"]
    assert lora_section(LoraConfig(target_modules="all-linear"), model_type="x")["target_modules"] == "all-linear"
    with pytest.raises(RecipeError, match="use_dora"):
        lora_section(LoraConfig(use_dora=True), model_type="qwen3")
    with pytest.raises(RecipeError, match="no target_modules for no-such-model"):
        lora_section(LoraConfig(), model_type="no-such-model")


def test_a_server_of_vllm_draws_the_rollouts() -> None:
    server = recipe(use_vllm=True, vllm_mode="server", vllm_server_port=9, vllm_server_timeout=7.0).rollout.server
    assert server is not None
    assert (server.addresses, server.deadline_seconds) == (("http://localhost:9",), 7.0)
    other = recipe(use_vllm=True, vllm_mode="server", vllm_server_host="one", vllm_server_base_url="https://two:1/")
    assert other.rollout.server is not None and other.rollout.server.addresses == ("https://two:1",)
    assert recipe(vllm_server_port=9).rollout.server is None, "nobody asked for it"


def test_vllm_in_the_same_process_is_refused_with_a_way_out() -> None:
    with pytest.raises(RecipeError, match="vllm_mode='server'") as raised:
        recipe(use_vllm=True)
    assert "understudy serve MODEL --allow-updates" in str(raised.value)
