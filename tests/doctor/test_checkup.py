"""The doctor finds each thing that was spoiled on purpose, and nothing in a healthy pair."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from tests.conformance.tiny import tiny_tokenizer
from tests.doctor.pairs import EOS, VOCAB, gpt2, phi, recipe_of, write_pair, write_problems
from tests.serving.served import served_model
from tests.tiny_files import write_rows
from understudy.api import train
from understudy.doctor import Diagnosis, Finding, diagnose
from understudy.errors import RecipeError
from understudy.recipe import Recipe


def found(diagnosis: Diagnosis, check: str) -> Finding:
    """The gravest finding of a check."""
    grave = {"ok": 0, "warn": 1, "stop": 2}
    return max((one for one in diagnosis.findings if one.check == check), key=lambda one: grave[one.verdict])


def other_than_ok(diagnosis: Diagnosis) -> dict[str, str]:
    return {one.check: one.verdict for one in diagnosis.findings if one.verdict != "ok"}


@pytest.fixture
def healthy(tmp_path: Path) -> Recipe:
    return write_pair(tmp_path, phi)


def test_a_healthy_pair_gets_no_warning(healthy: Recipe) -> None:
    diagnosis = diagnose(healthy)
    assert other_than_ok(diagnosis) == {}
    checks = {one.check for one in diagnosis.findings}
    assert {"tokenizer", "end tokens", "vocabulary size", "chat template", "context", "disk", "contamination"} <= checks
    assert {"abilities", "length", "signal balance", "teacher on the student's prefixes", "special tokens"} <= checks
    assert diagnosis.measures is not None and diagnosis.measures.reverse_kl.low < 0.05
    assert diagnosis.advice is not None and diagnosis.advice.method == "opd"


def test_the_same_recipe_gives_the_same_page(healthy: Recipe) -> None:
    once, again = diagnose(healthy, num_problems=8), diagnose(healthy, num_problems=8)
    # Other programs come and go, so what is free right now is not the recipe's.
    pages = [re.sub(r"[\d.]+ GiB free", "GiB free", json.dumps(page.to_json())) for page in (once, again)]
    assert pages[0] == pages[1]
    written = json.loads(json.dumps(once.to_json()))
    assert {tuple(one) for one in written["findings"]} == {("check", "verdict", "what", "remedy")}
    assert written["recommendation"]["method"] == "opd" and written["measures"]["num_rollouts"] == 8


def test_swapped_end_tokens(healthy: Recipe, tmp_path: Path) -> None:
    settings = tmp_path / "teacher" / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "eos_token_id": 7}))
    change_json(tmp_path / "teacher" / "config.json", eos_token_id=7)
    change_json(tmp_path / "teacher" / "tokenizer_config.json", eos_token="w7")
    diagnosis = diagnose(healthy)
    assert found(diagnosis, "end tokens").verdict == "stop" and diagnosis.measures is None
    assert "'<eos>'" in found(diagnosis, "end tokens").what and "'w7'" in found(diagnosis, "end tokens").what


def test_an_end_token_that_only_one_of_them_has_is_a_warning(healthy: Recipe, tmp_path: Path) -> None:
    change_json(tmp_path / "teacher" / "generation_config.json", eos_token_id=[EOS, 7])
    finding = found(diagnose(healthy, fast=True), "end tokens")
    assert finding.verdict == "warn" and finding.remedy


def test_another_chat_template(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    rows = [{"prompt": [{"role": "user", "content": f"w{2 + n} w9"}], "answer": f"w{n}"} for n in range(20)]
    write_rows(tmp_path / "chats.jsonl", rows)
    recipe = recipe_of(tmp_path, data={"dataset": str(tmp_path / "chats.jsonl")}, evaluation={})
    words = {"student": "w5 ", "teacher": "w6 "}
    for name, opening in words.items():
        template = "{% for m in messages %}" + opening + "{{ m['content'] }} {% endfor %}w8"
        (tmp_path / name / "chat_template.jinja").write_text(template)
    finding = found(diagnose(recipe, fast=True), "chat template")
    assert finding.verdict == "warn" and "'5 w2 w9 w8' (student) and '6 w2 w9 w8' (its own)" in finding.what
    shutil.copy(tmp_path / "student" / "chat_template.jinja", tmp_path / "teacher" / "chat_template.jinja")
    assert found(diagnose(recipe, fast=True), "chat template").verdict == "ok"


def test_a_padded_vocabulary(healthy: Recipe, tmp_path: Path) -> None:
    padded = phi()
    padded.resize_token_embeddings(VOCAB + 64, mean_resizing=False)
    padded.save_pretrained(tmp_path / "teacher")
    finding = found(diagnose(healthy, fast=True), "vocabulary size")
    assert finding.verdict == "warn" and "576 (teacher)" in finding.what and "512 (student)" in finding.what


def test_another_tokenizer(healthy: Recipe, tmp_path: Path) -> None:
    tiny_tokenizer(VOCAB, swapped=True).save_pretrained(tmp_path / "teacher")
    diagnosis = diagnose(healthy)
    assert other_than_ok(diagnosis) == {"tokenizer": "stop"}
    assert "token 'w3' is id 3 (student) and 4 (teacher)" in found(diagnosis, "tokenizer").what


def test_a_method_that_needs_what_nobody_gives(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    diagnosis = diagnose(recipe_of(tmp_path, objective={"method": "exopd"}))
    assert "needs a reference" in diagnosis.stops[0].what and "reference: initial" in diagnosis.stops[0].remedy


def test_a_context_that_is_too_short(tmp_path: Path) -> None:
    write_pair(tmp_path, gpt2)
    diagnosis = diagnose(recipe_of(tmp_path, rollout={"max_completion_length": 255}))
    assert found(diagnosis, "context").verdict == "stop" and "252" in found(diagnosis, "context").remedy


def test_problems_of_the_evaluation_in_the_data(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    write_problems(tmp_path / "held-out.jsonl", first=2 + 7 * 60)  # the first four are the data's last
    finding = found(diagnose(recipe_of(tmp_path)), "contamination")
    assert finding.verdict == "stop" and finding.what.startswith("4 of 64 problems of words are training prompts")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    recipe = recipe_of(tmp_path, checkpoint={"keep_last": 10**12})
    assert found(diagnose(recipe, fast=True), "disk").verdict == "stop"


def test_failure_1_single_tokens_that_carry_the_signal(tmp_path: Path) -> None:
    def spoil(teacher: PreTrainedModel) -> None:
        teacher.lm_head.bias[17] = -40.0

    diagnosis = diagnose(write_pair(tmp_path, phi, spoil))
    assert other_than_ok(diagnosis) == {"signal balance": "warn"}
    assert diagnosis.advice is not None and diagnosis.advice.method == "tropd"


def test_failure_2_a_teacher_that_is_lost_on_long_prefixes(tmp_path: Path) -> None:
    def spoil(teacher: PreTrainedModel) -> None:
        teacher.transformer.wpe.weight[60:] = 8 * torch.randn(
            teacher.transformer.wpe.weight[60:].shape, generator=torch.Generator().manual_seed(2)
        )

    diagnosis = diagnose(write_pair(tmp_path, gpt2, spoil))
    assert found(diagnosis, "teacher on the student's prefixes").verdict == "warn"
    assert "falls along the answers" in found(diagnosis, "teacher on the student's prefixes").what


def test_failure_3_special_tokens_that_carry_the_signal(tmp_path: Path) -> None:
    def spoil(teacher: PreTrainedModel) -> None:
        teacher.lm_head.bias[EOS] = -4.0

    diagnosis = diagnose(write_pair(tmp_path, phi, spoil))
    assert found(diagnosis, "special tokens").verdict == "warn"
    assert diagnosis.advice is not None and diagnosis.advice.method == "local_support"


def change_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_train_stops_on_what_the_doctor_can_read(healthy: Recipe, tmp_path: Path) -> None:
    for file in ("config.json", "generation_config.json"):
        change_json(tmp_path / "teacher" / file, eos_token_id=7)
    tokenizer = json.loads((tmp_path / "teacher" / "tokenizer_config.json").read_text())
    tokenizer["eos_token"] = None
    (tmp_path / "teacher" / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    with pytest.raises(RecipeError, match="they share none, so the teacher would teach never to end"):
        train(healthy)
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_memory_that_will_not_fit(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    recipe = recipe_of(
        tmp_path,
        rollout={"prompts_per_step": 10**7, "max_completion_length": 120},
        engine={"micro_batch_tokens": 10**9, "sampler_batch_rows": 10**7},
    )
    finding = found(diagnose(recipe, fast=True), "memory")
    assert finding.verdict == "stop" and "engine." in finding.remedy


def test_a_served_teacher_is_asked_and_measured(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    with served_model(tmp_path / "teacher") as url:
        diagnosis = diagnose(recipe_of(tmp_path, teacher={"server": url}), num_problems=8)
    assert other_than_ok(diagnosis) == {} and "understudy, model" in found(diagnosis, "server").what
    assert diagnosis.measures is not None and diagnosis.measures.reverse_kl.low < 0.05


def test_a_server_that_gives_less_than_the_method_needs(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    with served_model(tmp_path / "teacher", max_logprobs=4) as url:
        recipe = recipe_of(tmp_path, teacher={"server": url}, objective={"method": "topk_fkl", "top_k": 16})
        diagnosis = diagnose(recipe)
    assert found(diagnosis, "abilities").verdict == "stop" and "top 16 tokens (its limit: 4)" in diagnosis.stops[0].what


def test_a_server_that_is_down_is_a_finding(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    teacher = {"server": "http://127.0.0.1:9", "deadline_seconds": 0.5}
    finding = found(diagnose(recipe_of(tmp_path, teacher=teacher), fast=True), "server")
    assert finding.verdict == "stop" and "127.0.0.1:9" in finding.what
