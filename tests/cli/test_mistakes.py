"""Every mistake of a user ends in one sentence and exit code 2, and costs nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.cli.conftest import Ended, Understudy
from tests.conformance.tiny import tiny_model
from tests.tiny_files import PROBLEMS, Workplace, save_model, write_rows


def assert_is_refused(ended: Ended, *words: str) -> None:
    """One line on standard error that holds the words, nothing else anywhere, exit code 2."""
    assert ended.code == 2, ended.err
    assert ended.err.startswith("understudy: ")
    assert ended.err.count("\n") == 1, ended.err
    assert ended.out == ""
    for word in words:
        assert word in ended.err


def no_data(place: Workplace) -> list[str]:
    place.write_recipe(data=None)
    return []


def no_method(place: Workplace) -> list[str]:
    place.write_recipe(objective={"coefficient": 1.0})
    return []


def no_teacher(place: Workplace) -> list[str]:
    place.write_recipe(teacher=None)
    return []


def no_yaml(place: Workplace) -> list[str]:
    (place.path / "tiny.yaml").write_text("steps: 4\nstudent: {model: [\n")
    return []


def other_ids(place: Workplace) -> list[str]:
    save_model(place.path / "swapped", seed=1, swapped=True)
    return ["teacher.model=swapped"]


def other_size(place: Workplace) -> list[str]:
    save_model(place.path / "larger", seed=1, vocab_size=25)
    return ["teacher.model=larger"]


def half_a_model(place: Workplace) -> list[str]:
    save_model(place.path / "half", seed=1)
    weights = place.path / "half" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    return ["teacher.model=half"]


def pickled_model(place: Workplace) -> list[str]:
    save_model(place.path / "pickled", seed=1)
    (place.path / "pickled" / "model.safetensors").unlink()
    torch.save({}, place.path / "pickled" / "pytorch_model.bin")
    return ["teacher.model=pickled"]


def broken_config(place: Workplace) -> list[str]:
    save_model(place.path / "garbled", seed=1)
    (place.path / "garbled" / "config.json").write_text('{"model_type": ')
    return ["teacher.model=garbled"]


def unknown_architecture(place: Workplace) -> list[str]:
    save_model(place.path / "novel", seed=1)
    (place.path / "novel" / "config.json").write_text('{"model_type": "no-such-thing"}')
    return ["teacher.model=novel"]


def broken_tokenizer(place: Workplace) -> list[str]:
    save_model(place.path / "mute", seed=1)
    (place.path / "mute" / "tokenizer.json").write_text('{"version": "1.0", "model"')
    return ["teacher.model=mute"]


def no_tokenizer(place: Workplace) -> list[str]:
    save_model(place.path / "wordless", seed=1)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place.path / "wordless" / name).unlink()
    return ["student.model=wordless"]


def save_adapter(folder: Path, base: Path) -> None:
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(target_modules="all-linear"))
    model.save_pretrained(folder)


def adapter_cut_short(place: Workplace) -> list[str]:
    save_adapter(place.path / "lora", place.path / "student")
    weights = place.path / "lora" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return ["student.model=lora"]


def adapter_with_broken_settings(place: Workplace) -> list[str]:
    save_adapter(place.path / "lora", place.path / "student")
    (place.path / "lora" / "adapter_config.json").write_text("{")
    return ["student.model=lora"]


def adapter_without_its_base(place: Workplace) -> list[str]:
    save_model(place.path / "base", seed=2)
    save_adapter(place.path / "lora", place.path / "base")
    shutil.rmtree(place.path / "base")
    return ["student.model=lora"]


def adapter_of_another_base(place: Workplace) -> list[str]:
    save_model(place.path / "base", seed=2)
    save_adapter(place.path / "lora", place.path / "base")
    tiny_model(seed=2, layers=3).save_pretrained(place.path / "base")
    config = json.loads((place.path / "base" / "config.json").read_text())
    (place.path / "base" / "config.json").write_text(json.dumps({**config, "hidden_size": 8}))
    return ["student.model=lora"]


def no_model_in_folder(place: Workplace) -> list[str]:
    (place.path / "empty").mkdir()
    return ["student.model=empty"]


def empty_data(place: Workplace) -> list[str]:
    (place.path / "nothing.jsonl").write_text("\n")
    return ["data.dataset=nothing.jsonl"]


def broken_line(place: Workplace) -> list[str]:
    write_rows(place.path / "broken.jsonl", PROBLEMS[:2])
    with (place.path / "broken.jsonl").open("a") as file:
        file.write('{"question": "w2",\n')
    return ["data.dataset=broken.jsonl"]


def one_row_without_the_column(place: Workplace) -> list[str]:
    write_rows(place.path / "uneven.jsonl", [*PROBLEMS[:3], {"text": "w2", "answer": "w3"}])
    return ["data.dataset=uneven.jsonl"]


def no_gold_answers(place: Workplace) -> list[str]:
    write_rows(place.path / "no-answers.jsonl", [{"question": "w2", "solution": "w3"}])
    return ["data.dataset=no-answers.jsonl"]


def no_completions(place: Workplace) -> list[str]:
    write_rows(place.path / "questions.jsonl", [{"question": "w2", "answer": "w3"}])
    place.write_recipe(
        objective={"method": "sft"}, data={"dataset": "questions.jsonl", "prompt": "{question}"}, teacher=None
    )
    return []


def teacher_of_short_context(place: Workplace) -> list[str]:
    config = place.path / "teacher" / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "max_position_embeddings": 6}))
    return []


def long_prompt(place: Workplace) -> list[str]:
    write_rows(place.path / "long.jsonl", [*PROBLEMS, {"question": "w2 " * 70, "answer": "w2", "solution": "w3"}])
    return ["data.dataset=long.jsonl"]


def long_prompt_in_a_suite(place: Workplace) -> list[str]:
    write_rows(place.path / "long.jsonl", [*PROBLEMS, {"question": "w2 " * 70, "answer": "w2", "solution": "w3"}])
    return ["evaluation.suites.0.dataset=long.jsonl"]


def a_run(place: Workplace) -> list[str]:
    """The second checkpoint of an earlier run, as its folders are."""
    for step in ("step-000002", "step-000004"):
        (place.path / "earlier" / "checkpoints" / step / "model").mkdir(parents=True)
    return ["student.model=earlier"]


def a_checkpoint(place: Workplace) -> list[str]:
    a_run(place)
    return ["student.model=earlier/checkpoints/step-000004"]


def given(*overrides: str) -> Callable[[Workplace], list[str]]:
    return lambda _: list(overrides)


MISTAKES = {
    "missing key": (no_data, ["tiny.yaml", "field data is missing", "dataset"]),
    "missing method": (no_method, ["objective.method", "opd", "sft"]),
    "misspelt key": (given("optimizer.learning_rat=0.1"), ["'learning_rat'", "Did you mean optimizer.learning_rate?"]),
    "misspelt section": (given("optimiser.learning_rate=0.1"), ["'optimiser'", "Did you mean optimizer?"]),
    "a key of another section": (given("learning_rate=0.1"), ["'learning_rate'", "mean optimizer.learning_rate?"]),
    "a key of verl": (given("rollout.n=4"), ["no field 'n'", "Did you mean rollout.num_generations?"]),
    "a key of TRL": (given("max_steps=4"), ["no field 'max_steps'", "Did you mean steps?"]),
    "no method at all": (given("objective=3"), ["objective cannot be used", "the name of a method", "gkd"]),
    "misspelt name of a method": (given("objective=odp"), ["objective.method", "Did you mean opd?"]),
    "misspelt method": (given("objective.method=odp"), ["'odp'", "Did you mean opd?"]),
    "another misspelt method": (given("objective.method=reopod"), ["'reopod'", "Did you mean reopold?"]),
    "lambda without a reference": (
        given("objective={method: gopd, lambda: 1.1}"),
        ["'gopd'", "needs a reference", "Add reference: initial."],
    ),
    "lambda of no extrapolation": (
        given("objective={method: exopd, lambda: 1}"),
        ["objective.lambda", "greater than 1"],
    ),
    "guidance that ends before it starts": (
        given("objective={method: tropd, guidance_steps: 0}"),
        ["objective.guidance_steps", "got 0", "at least 1"],
    ),
    "guidance without a teacher": (given("teacher=null", "objective={method: tropd}"), ["'tropd'", "needs a teacher"]),
    "no YAML": (no_yaml, ["tiny.yaml, line", "not valid YAML"]),
    "no override": (given("steps"), ["'steps'", "key.sub=value"]),
    "no teacher": (no_teacher, ["'opd'", "needs a teacher", "Add teacher"]),
    "model path missing": (given("student.model=./studnet"), ["no model at ./studnet"]),
    "model is a file": (given("student.model=tiny.yaml"), ["tiny.yaml is not a model", "a file"]),
    "model is an address": (given("teacher.model=localhost:8000"), ["no model at localhost:8000", "{server: URL}"]),
    "model is a run": (a_run, ["is not a model", "newest weights are", "step-000004/model"]),
    "model is a checkpoint": (a_checkpoint, ["is not a model", "weights are", "step-000004/model"]),
    "data is a folder": (given("data.dataset=student"), ["student is a folder here"]),
    "model without config": (no_model_in_folder, ["empty is not a model", "config.json"]),
    "model cut short": (half_a_model, ["half cannot be loaded"]),
    "model in a pickle": (pickled_model, ["pickled cannot be loaded", "safetensors"]),
    "model nowhere": (given("student.model=owner/nowhere"), ["no model owner/nowhere"]),
    "config broken": (broken_config, ["garbled cannot be loaded"]),
    "architecture unknown": (unknown_architecture, ["novel cannot be loaded", "no-such-thing"]),
    "tokenizer broken": (broken_tokenizer, ["the tokenizer of mute cannot be loaded"]),
    "tokenizer missing": (no_tokenizer, ["wordless has no tokenizer", "student.tokenizer"]),
    "adapter cut short": (adapter_cut_short, ["the adapter lora does not fit", "student"]),
    "adapter settings broken": (adapter_with_broken_settings, ["lora is not a complete adapter"]),
    "adapter without its base": (adapter_without_its_base, ["base cannot be loaded"]),
    "adapter of another base": (adapter_of_another_base, ["base"]),
    "other ids": (other_ids, ["different tokenizers", "token 'w3' is id 3 (student) and 4 (teacher)"]),
    "other size": (other_size, ["different tokenizers", "vocabulary sizes 19 (student) and 25 (teacher)"]),
    "data missing": (given("data.dataset=problem.jsonl"), ["problem.jsonl does not exist", "Did you mean problems."]),
    "data empty": (empty_data, ["nothing.jsonl is empty", "at least one row"]),
    "data broken": (broken_line, ["broken.jsonl, line 3 is not valid JSON"]),
    "no column": (given("data.prompt={text}"), ["line 1", "no column 'text'", "question, answer, solution"]),
    "no column in one row": (one_row_without_the_column, ["uneven.jsonl, line 4", "no column 'question'"]),
    "no answer": (no_gold_answers, ["no-answers.jsonl, line 1", "no column 'answer'"]),
    "no completion": (no_completions, ["questions.jsonl", "gold completion", "data.completion"]),
    "long prompt": (long_prompt, ["longer than the student's context", "70 tokens", "fewer than 64"]),
    "short teacher": (teacher_of_short_context, ["the teacher's context is shorter", "got 6 tokens"]),
    "long prompt in a suite": (long_prompt_in_a_suite, ["longer than the student's context", "70 tokens"]),
    "suite without a verifier": (given("evaluation.suites.0.verifier=none"), ["verifier", "words"]),
    "unknown suite": (given("evaluation.suites=[testbed/nope]"), ["testbed/nope", "multiplication-greedy"]),
    "no generations": (given("rollout.num_generations=0"), ["rollout.num_generations", "got 0", "at least 1"]),
    "temperature below": (given("rollout.temperature=-0.5"), ["rollout.temperature", "got -0.5", "greater than 0"]),
    "temperature zero": (given("rollout.temperature=0"), ["rollout.temperature", "got 0", "greater than 0"]),
    "temperature above": (given("rollout.temperature=11"), ["rollout.temperature", "got 11", "at most 10"]),
    "temperature no number": (given("rollout.temperature=.nan"), ["rollout.temperature", "nan"]),
    "name with a slash": (given("name=a/b"), ["name cannot be used", "a/b"]),
    "section that is none": (given("rollout=3"), ["rollout cannot be used", "got 3", "prompts_per_step"]),
    "best of no suite": (given("checkpoint.keep_best=letters"), ["keep_best", "'letters'", "words"]),
    "two suites of one name": (given("evaluation.suites=[testbed/x, testbed/x]"), ["two suites", "testbed/x"]),
    "template with a stray brace": (given("data.prompt={question"), ["data.prompt", "{{"]),
    "unknown hub data": (given("data.dataset=owner/none"), ["owner/none", "cannot be loaded"]),
    "LoRA on nothing": (given("student.lora={target_modules: nope_proj}"), ["nope_proj"]),
}


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(mistake: str, place: Workplace, understudy: Understudy) -> None:
    make, words = MISTAKES[mistake]
    overrides = make(place)
    before = {file for file in place.path.rglob("*") if file.is_file()}
    assert_is_refused(understudy("train", "tiny.yaml", *overrides), *words)
    assert {file for file in place.path.rglob("*") if file.is_file()} == before
    assert not place.run.exists()


def test_a_failed_start_leaves_alone_what_it_did_not_make(place: Workplace, understudy: Understudy) -> None:
    (place.run / ".git").mkdir(parents=True)
    (place.run / ".git" / "HEAD").write_text("mine")
    assert_is_refused(understudy("train", "tiny.yaml", "data.dataset=problem.jsonl"), "does not exist")
    assert [str(entry.relative_to(place.run)) for entry in sorted(place.run.rglob("*"))] == [".git", ".git/HEAD"]
    assert understudy("train", "tiny.yaml").code == 0
    assert (place.run / ".git" / "HEAD").read_text() == "mine"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(place: Workplace, understudy: Understudy) -> None:
    assert_is_refused(understudy("train", "tiny.yaml", "engine.device=cuda"), "engine.device", "cuda", "cpu")
    assert not place.run.exists()


def test_a_recipe_that_is_not_there(place: Workplace, understudy: Understudy) -> None:
    assert_is_refused(understudy("train", "tinny.yaml"), "tinny.yaml does not exist", "Did you mean tiny.yaml?")


@pytest.mark.parametrize("where", [("--traceback", "train", "tiny.yaml"), ("train", "tiny.yaml", "--traceback")])
def test_traceback_shows_where_the_error_came_from(
    where: tuple[str, ...], place: Workplace, understudy: Understudy
) -> None:
    ended = understudy(*where, "data.dataset=problem.jsonl")
    assert ended.code == 2
    assert ended.err.startswith("Traceback (most recent call last):")
    assert "DataError" in ended.err
    assert re.search(r"^understudy: data file problem.jsonl does not exist", ended.err, re.MULTILINE)


def test_a_word_too_many_is_a_usage_error(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("train", "tiny.yaml", "--no-such-option")
    assert ended.code == 2
    assert "No such option: --no-such-option" in ended.err


def test_a_folder_that_cannot_be_written(place: Workplace, understudy: Understudy, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file")
    ended = understudy("train", "tiny.yaml", "output=occupied")
    assert_is_refused(ended, "the run's folder occupied/tiny cannot be made", "output=FOLDER")
    assert (tmp_path / "occupied").read_text() == "a file"
