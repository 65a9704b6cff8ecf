"""TRL's trainers by name: a run of ours comes out, and what cannot be kept is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

import understudy as us
from tests.tiny_files import Workplace, make_workplace, metrics_of
from understudy.errors import DiskError, RecipeError, RunDirectoryError, UserMistakeError
from understudy.recipe import Suite
from understudy.training.progress import Silent
from understudy.trl import DistillationConfig, DistillationTrainer, GKDConfig, GKDTrainer

ROWS = Dataset.from_list([{"prompt": f"w{2 + n % 9} w{3 + n % 7}", "completion": f"w{3 + n % 5}"} for n in range(16)])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    return make_workplace(tmp_path)


def args(**changes: Any) -> DistillationConfig:
    small = {"per_device_train_batch_size": 4, "max_steps": 3, "max_completion_length": 5, "learning_rate": 0.01}
    return DistillationConfig(**{"output_dir": "mine", "disable_tqdm": True, **small, **changes})


def test_names_make_the_run_of_the_recipe(place: Workplace) -> None:
    """What the trainer wrote down as its recipe, run by itself, gives the very same figures."""
    trainer = DistillationTrainer("student", "teacher", args(), ROWS)
    done = trainer.train()
    assert done.global_step == 3
    assert trainer.run is not None and trainer.run.path == Path("mine")
    again = us.train("mine.inputs/recipe.yaml", ["name=again"], display=Silent())
    assert metrics_of(again.path) == metrics_of(trainer.run.path)
    assert done.training_loss == pytest.approx(sum(line["loss"] for line in trainer.state.log_history) / 3)


def test_a_disk_that_refuses_is_told_in_a_sentence(place: Workplace) -> None:
    """Files lie where folders should be made: of what is in memory, and of the copy."""
    Path("mine.inputs").touch()
    with pytest.raises(DiskError, match=r"mine\.inputs cannot be written"):
        DistillationTrainer("student", "teacher", args(), ROWS)
    Path("mine.inputs").unlink()
    trainer = DistillationTrainer("student", "teacher", args(max_steps=1), ROWS)
    trainer.train()
    Path("saved").touch()
    with pytest.raises(DiskError, match=r"saved cannot be written; got File exists.*has the weights"):
        trainer.save_model("saved")


def test_a_module_that_is_given_ends_trained(place: Workplace) -> None:
    student = AutoModelForCausalLM.from_pretrained("student", dtype="float32")
    before = student.model.embed_tokens.weight.detach().clone()
    teacher = AutoModelForCausalLM.from_pretrained("teacher", dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained("student")
    trainer = DistillationTrainer(student, teacher, args(), ROWS, processing_class=tokenizer)
    trainer.train()
    assert trainer.model is student
    assert not torch.equal(student.model.embed_tokens.weight, before)
    trainer.save_model("saved")
    saved = AutoModelForCausalLM.from_pretrained("saved", dtype="float32")
    assert torch.equal(saved.model.embed_tokens.weight, student.model.embed_tokens.weight)
    assert torch.equal(
        AutoModelForCausalLM.from_pretrained("student", dtype="float32").model.embed_tokens.weight, before
    )


def test_adapters_and_evaluation(place: Workplace) -> None:
    trainer = DistillationTrainer(
        "student",
        "teacher",
        args(eval_strategy="steps", eval_steps=2),
        ROWS,
        eval_dataset={"one": ROWS.select(range(4)), "two": ROWS.select(range(4, 8))},
        peft_config=LoraConfig(r=2, lora_alpha=4),
    )
    before = trainer.evaluate()
    trainer.train()
    assert isinstance(trainer.model, PeftModel)
    assert set(before) == {f"eval_{name}_reverse_kl{end}" for name in ("one", "two") for end in ("", "_low", "_high")}
    figures = trainer.run.summary["suites"] if trainer.run and trainer.run.summary else {}
    after = trainer.evaluate()
    assert after["eval_one_reverse_kl"] == pytest.approx(figures["one"]["after"]["mean"], abs=1e-5)
    assert after["eval_one_reverse_kl"] != before["eval_one_reverse_kl"]


def test_every_data_set_keeps_its_own_rows(place: Workplace) -> None:
    """One of evaluation may be called as the file of the training data is, and evaluate() may be handed another."""
    mine, other = (Dataset.from_list([{"prompt": f"w{word}"}]) for word in (3, 4))
    given = args(eval_strategy="steps", eval_steps=1, max_completion_length=2)
    trainer = DistillationTrainer("student", "teacher", given, ROWS, {"train": mine})
    assert set(trainer.evaluate({"train": other})) == set(trainer.evaluate())
    (suite,) = trainer.recipe.evaluation.suites
    assert isinstance(suite, Suite)
    for part, rows in ((trainer.recipe.data.parts[0], ROWS), (suite, mine)):
        assert pq.read_table(part.dataset)["prompt"].to_pylist() == list(rows["prompt"])


def test_it_resumes(place: Workplace) -> None:
    whole = DistillationTrainer("student", "teacher", args(output_dir="whole", save_steps=1), ROWS)
    whole.train()
    with pytest.raises(RunDirectoryError, match=r"exists.*resume_from_checkpoint=True"):
        DistillationTrainer("student", "teacher", args(output_dir="whole", save_steps=1), ROWS).train()
    again = DistillationTrainer("student", "teacher", args(output_dir="whole", save_steps=1), ROWS)
    assert again.train(resume_from_checkpoint=True).global_step == 3


def test_overrides_reach_what_trl_has_no_argument_for(place: Workplace) -> None:
    trainer = DistillationTrainer("student", "teacher", args(), ROWS, overrides=["objective={method: opd}"])
    assert trainer.recipe.objective.method == "opd"
    with pytest.raises(RecipeError, match="objectiv"):
        DistillationTrainer("student", "teacher", args(), ROWS, overrides=["objectiv=1"])


def test_gkd_takes_the_datas_completions(place: Workplace) -> None:
    config = GKDConfig(
        output_dir="gkd", per_device_train_batch_size=4, max_steps=2, max_new_tokens=5, disable_tqdm=True
    )
    trainer = GKDTrainer("student", "teacher", config, train_dataset=ROWS)
    assert trainer.train().global_step == 2
    assert trainer.recipe.objective.model_dump()["lmbda"] == 0.5


def test_gkd_does_not_cut_a_row(place: Workplace) -> None:
    with pytest.raises(UserMistakeError, match="row 0 of train_dataset is longer than max_length; got 3 tokens"):
        GKDTrainer("student", "teacher", GKDConfig(output_dir="gkd", max_length=2), train_dataset=ROWS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"callbacks": [object()]}, "callbacks has no counterpart"),
        ({"optimizers": (object(), None)}, "optimizers has no counterpart"),
        ({"quantization_config": object()}, "quantization_config"),
        ({"tools": [print]}, "tools"),
        ({"train_dataset": None}, "no train_dataset"),
        ({"train_dataset": [{"prompt": "w2"}]}, "no datasets.Dataset"),
        (
            {"train_dataset": ROWS.train_test_split(0.5)},
            r"Take one of its splits: train_dataset=train_dataset\['train'\]",
        ),
        ({"teacher_model": None}, "no teacher"),
        ({"args": GKDConfig()}, "expected understudy.trl.DistillationConfig"),
        ({"model": "with-dropout"}, "attention_dropout.*Set disable_dropout=True"),
        ({"args": args(hub_model_id="a/b", use_vllm=False, push_to_hub=True), "model": "nowhere"}, "nowhere"),
    ],
)
def test_what_is_refused(given: dict[str, Any], message: str, place: Workplace) -> None:
    shutil.copytree("student", "with-dropout")
    config = json.loads(Path("student/config.json").read_text())
    Path("with-dropout/config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}))
    whole = {"model": "student", "teacher_model": "teacher", "args": args(), "train_dataset": ROWS}
    with pytest.raises(UserMistakeError, match=message):
        DistillationTrainer(**{**whole, **given})


def test_what_ends_of_scripts_ask_for(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines of TRL's own script, and of others."""
    trainer = DistillationTrainer("student", "teacher", args(), ROWS)
    trainer.save_state()
    trainer.accelerator.print("done")
    assert capsys.readouterr().out == "done\n"
    assert trainer.is_world_process_zero() and trainer.accelerator.is_main_process
    assert (
        trainer.processing_class("w2 w3")["input_ids"] == AutoTokenizer.from_pretrained("student")("w2 w3")["input_ids"]
    )
    with pytest.raises(RecipeError, match="resume_from_checkpoint is a path; got 'mine/checkpoint-2'"):
        trainer.train(resume_from_checkpoint="mine/checkpoint-2")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="no name to push to"):
        trainer.push_to_hub(dataset_name="rows")
    with pytest.raises(AttributeError, match=r"DistillationTrainer has no add_callback; it has train.*report_to tell"):
        trainer.add_callback(print)
    assert not hasattr(trainer, "nothing_like_it")


def test_nothing_before_its_time(place: Workplace) -> None:
    trainer = DistillationTrainer("student", "teacher", args(), ROWS)
    with pytest.raises(RecipeError, match="no eval_dataset"):
        trainer.evaluate()
    with pytest.raises(RunDirectoryError, match="no trained weights"):
        trainer.save_model()
    with pytest.raises(RecipeError, match="no name to push to"):
        trainer.push_to_hub()
