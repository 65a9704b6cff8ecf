"""The same run by TRL's trainers, timed by phase; only this file needs trl, and only TRL's Python runs it."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from understudy.bench.speed.phases import Phases
from understudy.bench.speed.settings import PEER_SETTINGS, PeerSetting
from understudy.bench.speed.workload import LEARNING_RATE, Size


def time_steps(folder: Path, size: Size, setting: str, *, steps: int, threads: int, phases: Phases) -> list[int]:
    """Run so many steps on a workload; returns the trained tokens of each."""
    torch.set_num_threads(threads)
    chosen = PEER_SETTINGS[setting]
    student, teacher = (_model(folder / name, chosen) for name in ("student", "teacher"))
    build = _distillation if chosen.trainer == "distillation" else _gkd
    with tempfile.TemporaryDirectory() as output:
        trainer = build(chosen, size, steps, output, folder=folder, student=student, teacher=teacher)
        counter = _Watch(trainer, phases)
        trainer.add_callback(counter)
        trainer.train()
    return counter.tokens


class _Watch(TrainerCallback):
    """Books the phases of a trainer and counts the completion tokens of each step."""

    def __init__(self, trainer: Any, phases: Phases) -> None:
        self.phases, self.tokens = phases, [0]
        name = "_generate" if hasattr(trainer, "_generate") else "generate_on_policy_outputs"
        setattr(trainer, name, phases.timed("sample", getattr(trainer, name)))
        trainer.compute_loss = phases.timed("loss", self._counted(trainer.compute_loss))
        phases.watch_module("teacher", trainer.teacher_model)
        phases.watch_module("forward", trainer.model.base_model, only_training=True)
        phases.watch_learning()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.phases.begin_step()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.phases.end_step()

    def _counted(self, compute_loss: Any) -> Any:
        def counted(model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
            mask = inputs["completion_mask"] if "completion_mask" in inputs else inputs["labels"][:, 1:] != -100
            self.tokens.append(int(mask.sum()))
            return compute_loss(model, inputs, *args, **kwargs)

        del self.tokens[:]
        return counted


def _model(folder: Path, setting: PeerSetting) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, setting.weights), attn_implementation=setting.attention
    )


def _common(setting: PeerSetting, size: Size, steps: int, output: str) -> dict[str, Any]:
    """What both trainers are told: nothing is logged, saved or loaded by workers while a step is timed."""
    return {
        "output_dir": output,
        "per_device_train_batch_size": size.batch,
        "max_steps": steps,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "bf16": setting.autocast,
        "gradient_checkpointing": setting.checkpointing,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }


def _prompts(folder: Path) -> Any:
    return load_dataset("json", data_files=str(folder / "prompts.jsonl"), split="train")


def _distillation(
    setting: PeerSetting, size: Size, steps: int, output: str, *, folder: Path, student: Any, teacher: Any
) -> Any:
    trl = import_module("trl")
    config = trl.DistillationConfig(
        **_common(setting, size, steps, output), beta=1.0, temperature=1.0, max_completion_length=size.completion_length
    )
    return trl.DistillationTrainer(
        model=student,
        teacher_model=teacher,
        args=config,
        train_dataset=_prompts(folder).select_columns(["prompt"]),
        processing_class=AutoTokenizer.from_pretrained(folder / "student"),
    )


def _gkd(setting: PeerSetting, size: Size, steps: int, output: str, *, folder: Path, student: Any, teacher: Any) -> Any:
    gkd = import_module("trl.experimental.gkd")
    config = gkd.GKDConfig(
        **_common(setting, size, steps, output),
        beta=1.0,
        lmbda=1.0,
        temperature=1.0,
        max_new_tokens=size.completion_length,
        max_length=size.prompt_lengths[1] + size.completion_length,
    )
    return gkd.GKDTrainer(
        model=student,
        teacher_model=teacher,
        args=config,
        train_dataset=_prompts(folder).map(_as_messages, remove_columns=["prompt", "completion"]),
        processing_class=AutoTokenizer.from_pretrained(folder / "student"),
    )


def _as_messages(row: dict[str, str]) -> dict[str, Any]:
    """What GKD's collator reads; the answer is one word, since a student's own takes its place."""
    spoken = [("user", row["prompt"]), ("assistant", row["completion"])]
    return {"messages": [{"role": role, "content": content} for role, content in spoken]}
