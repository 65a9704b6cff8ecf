"""Runs with a teacher of another tokenizer, through the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import understudy as us
from tests.conformance.tiny import tiny_model
from tests.serving.served import served_model
from tests.teachers import families
from tests.tiny_files import SUITE, Workplace, make_workplace, metrics_of
from tests.training.test_loop import Heard
from understudy.doctor.checkup import diagnose
from understudy.errors import (
    CapabilityError,
    ContextLengthError,
    RecipeError,
    TokenizerMismatchError,
    UserMistakeError,
)
from understudy.recipe import recipe_from


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    place = make_workplace(tmp_path)
    tokenizer = families.byte_level()
    tiny_model(vocab_size=len(tokenizer), layers=1, seed=3).save_pretrained(tmp_path / "foreign")
    tokenizer.save_pretrained(tmp_path / "foreign")
    return place


def train(place: Workplace, **changes: Any) -> us.Run:
    changes = {"evaluation": {}, "teacher": {"model": str(place.path / "foreign"), "align": True}, **changes}
    return us.train(recipe_from(place.recipe(**changes)), display=Heard())


def rows_of(run: us.Run) -> list[dict[str, Any]]:
    return pq.read_table(sorted((run.path / "rollouts").iterdir())[0]).to_pylist()


def test_the_marks_of_each_completion_sum_to_those_of_the_teacher_on_its_text(place: Workplace) -> None:
    """Everything said by other means: the prompt and the completion as text, through the teacher's tokenizer."""
    run = train(place, steps=2)
    teacher = AutoModelForCausalLM.from_pretrained(place.path / "foreign").double()
    ours, theirs = (AutoTokenizer.from_pretrained(place.path / name) for name in ("student", "foreign"))
    checked = 0
    for row in rows_of(run):
        marks = torch.tensor(row["teacher_logprob"])
        ids = [id for id in row["completion_ids"] if id != 1]
        if 0 in ids or not ids:
            continue  # the unknown token has no text
        prompt = theirs(ours.decode(row["prompt_ids"]))["input_ids"]
        joined = " ".join(ours.convert_ids_to_tokens(ids))
        text = f" {joined}"  # the student's tokens are words; after a prompt of text a space stands before each
        whole = torch.tensor(
            [[*prompt, *theirs(text)["input_ids"], *([theirs.eos_token_id] if 1 in row["completion_ids"] else [])]]
        )
        with torch.no_grad():
            own = teacher(input_ids=whole).logits[0, len(prompt) - 1 : -1].log_softmax(1)
        own = own.gather(1, whole[0, len(prompt) :, None])
        assert marks.isfinite().all() and (marks < 0).all()
        assert float(marks.double().sum()) == pytest.approx(float(own.sum()), abs=1e-4)
        checked += 1
    assert checked


def test_what_has_no_row_is_counted_and_the_run_repeats(place: Workplace) -> None:
    """The student's ``<pad>`` stands for every word that it does not know: the teacher reads nothing of it."""
    run = train(place, steps=3)
    rows = rows_of(run)
    lost = sum(id == 0 for row in rows for id in row["completion_ids"])
    line = metrics_of(run.path)[0]
    assert line.get("rollouts/unaligned_tokens", 0.0) == lost
    assert line.get("rollouts/unaligned_share", 0.0) == pytest.approx(
        lost / sum(len(r["completion_ids"]) for r in rows)
    )
    for row in rows:
        marks = zip(row["completion_ids"], row["teacher_logprob"], strict=True)
        assert all((id == 0) == (mark != mark) for id, mark in marks)  # NaN, which is not equal to itself, never 0


def test_a_top_k_keeps_the_tokens_of_both(place: Workplace) -> None:
    """``w3`` is several bytes to the teacher, unless it has merged them: nothing else takes part in the divergence."""
    run = train(place, steps=1, objective={"method": "topk_fkl", "top_k": 4})
    line = metrics_of(run.path)[0]
    assert 0 < line["rollouts/unaligned_share"] < 1
    assert line["loss"] is not None and line["loss"] == line["loss"]


def test_refusals_name_the_remedy(place: Workplace) -> None:
    foreign = str(place.path / "foreign")
    with pytest.raises(TokenizerMismatchError, match=r"teacher\.align: true"):
        train(place, teacher={"model": foreign})
    with pytest.raises(CapabilityError, match="exact entropies"):
        train(place, objective={"method": "eopd"})
    with pytest.raises(RecipeError, match="teacher's own tokens"):
        train(place, objective={"method": "seq_kd"})
    with pytest.raises(RecipeError, match="the student itself has its own"):
        recipe_from(place.recipe(teacher={"model": "self", "align": True}))
    with pytest.raises(RecipeError, match="cannot be aligned"):
        recipe_from(place.recipe(teacher={"mixture": [{"model": foreign, "align": True, "weight": 1}]}))
    suite = {**SUITE, "dataset": str(place.path / "held-out.jsonl"), "kind": "reverse_kl"}
    suite.pop("verifier")
    with pytest.raises(RecipeError, match="cannot ask a teacher of another tokenizer"):
        train(place, evaluation={"suites": [suite]})


def test_auto_aligns_where_tokenizers_differ_alone(place: Workplace) -> None:
    plain = train(place, steps=2, name="plain", teacher={"model": str(place.path / "teacher")})
    auto = train(place, steps=2, name="auto", teacher={"model": str(place.path / "teacher"), "align": "auto"})
    always = train(place, steps=2, name="always", teacher={"model": str(place.path / "teacher"), "align": True})
    assert metrics_of(plain.path) == metrics_of(auto.path) == metrics_of(always.path)
    other = train(place, steps=2, name="other", teacher={"model": str(place.path / "foreign"), "align": "auto"})
    assert metrics_of(other.path) != metrics_of(plain.path)


def test_one_of_several_routes_may_be_aligned(place: Workplace) -> None:
    few = place.path / "few.jsonl"
    few.write_text("".join(json.dumps({"word": f"w{n}"}) + "\n" for n in range(2, 8)))
    data = {
        "mixture": [
            {
                "dataset": str(place.path / "problems.jsonl"),
                "prompt": "{question}",
                "verifier": {"kind": "exact", "extract": r"(w\d+)"},
            },
            {"dataset": str(few), "name": "few", "prompt": "{word} w2"},
        ]
    }
    routes = {
        "problems": {"model": str(place.path / "teacher")},
        "few": {"model": str(place.path / "foreign"), "align": True, "view": {"kind": "system", "text": "w4"}},
    }
    run = train(place, data=data, teacher={"routes": routes}, steps=1)
    teacher = AutoModelForCausalLM.from_pretrained(place.path / "teacher").double()
    for row in rows_of(run):
        marks = torch.tensor(row["teacher_logprob"], dtype=torch.float64)
        ids = torch.tensor([[*row["prompt_ids"], *row["completion_ids"]]])
        start = len(row["prompt_ids"])
        own = teacher(input_ids=ids).logits[0, start - 1 : -1].log_softmax(1).gather(1, ids[0, start:, None])[:, 0]
        assert torch.allclose(marks, own, atol=1e-4) == (row["domain"] == "problems")


def test_a_prompt_too_long_for_the_teacher_stops_before_step_0(place: Workplace) -> None:
    (place.path / "problems.jsonl").write_text(
        json.dumps({"question": "w2 " * 45, "answer": "w2", "solution": "w2"}) + "\n"
    )
    with pytest.raises(ContextLengthError, match="the teacher's context"):
        train(place)


def behind(place: Workplace, url: str, **changes: Any) -> dict[str, Any]:
    return {"server": url, "align": True, "tokenizer": str(place.path / "foreign"), **changes}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("objective", [{"method": "opd"}, {"method": "topk_fkl", "top_k": 4}])
def test_behind_a_server_the_figures_are_the_same(place: Workplace, objective: dict[str, Any]) -> None:
    here = train(place, steps=2, name="here", objective=objective)
    with served_model(place.path / "foreign", max_logprobs=-1) as url:
        there = train(place, steps=2, name="there", objective=objective, teacher=behind(place, url))
    mine, theirs = metrics_of(there.path), metrics_of(here.path)
    assert len(mine) == len(theirs) == 2
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, rel=2e-4, abs=2e-5)


@pytest.mark.timeout(120)
def test_what_is_said_of_a_served_teachers_tokenizer(place: Workplace) -> None:
    with served_model(place.path / "foreign") as url:
        with pytest.raises(TokenizerMismatchError, match="another tokenizer than the student"):
            train(place, teacher={"server": url})
        with pytest.raises(TokenizerMismatchError, match=r"another tokenizer than .*student"):
            train(place, teacher=behind(place, url, tokenizer=str(place.path / "student"), align=True))
        found = diagnose(recipe_from(place.recipe(teacher=behind(place, url), evaluation={})), fast=True)
        assert any("aligned by the bytes" in one.what for one in found.findings if one.check == "tokenizer")
        assert all(one.verdict != "stop" for one in found.findings if one.check in ("tokenizer", "server"))
    with served_model(place.path / "teacher") as url:
        words = str(place.path / "teacher")
        train(place, steps=1, name="auto", teacher={"server": url, "align": "auto", "tokenizer": words})
        assert "rollouts/unaligned_share" not in metrics_of(place.path / "runs" / "auto")[0]
    with pytest.raises(UserMistakeError, match="name its folder in the field 'tokenizer'"):
        recipe_from(place.recipe(teacher={"server": url, "align": True}))
