"""Runs with teachers that are several models, a mixture, or the student itself: each row provably has its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

import understudy as us
from tests.teachers.members import Telling, local
from tests.tiny_files import VERIFIER, Workplace, make_workplace, metrics_of, save_model, write_rows
from tests.training.test_loop import Heard
from understudy.errors import CapabilityError, DataError, RecipeError, TokenizerMismatchError
from understudy.preview import preview
from understudy.recipe import recipe_from
from understudy.teachers import RoutedScorer

FEW = [{"word": f"w{2 + n}", "subject": ("x", "y")[n % 2], "solution": f"w{9 - n} w{4 + n}"} for n in range(6)]
TEMPLATE = "{text} w3 {prompt}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    place = make_workplace(tmp_path)
    save_model(tmp_path / "other", seed=2)
    write_rows(tmp_path / "few.jsonl", FEW)
    return place


def two_sets(place: Workplace) -> dict[str, Any]:
    return {
        "mixture": [
            {"dataset": str(place.path / "problems.jsonl"), "prompt": "{question}", "verifier": VERIFIER},
            {
                "dataset": str(place.path / "few.jsonl"),
                "name": "few",
                "prompt": "{word} w2",
                "completion": "{solution}",
            },
        ]
    }


def train(place: Workplace, display: Any = None, **changes: Any) -> us.Run:
    changes = {"evaluation": {}, **changes}
    return us.train(recipe_from(place.recipe(**changes)), display=display or Heard())


def rollouts_in(run: Path) -> list[dict[str, Any]]:
    files = sorted((run / "rollouts").iterdir())
    return [{**row, "step": n} for n, file in enumerate(files) for row in pq.read_table(file).to_pylist()]


@cache
def loaded(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).double()


def dense(folder: Path, row: dict[str, Any], prompt_ids: Sequence[int] | None = None) -> Tensor:
    """[C, V] log-probs of each completion token of a row after its prompt, or after another one."""
    prompt = list(row["prompt_ids"] if prompt_ids is None else prompt_ids)
    ids = torch.tensor([[*prompt, *row["completion_ids"]]])
    with torch.no_grad():
        return loaded(folder)(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(1)


def at(logprobs: Tensor, row: dict[str, Any]) -> Tensor:
    return logprobs.gather(1, torch.tensor(row["completion_ids"])[:, None]).squeeze(1)


def assert_close(got: Sequence[float], expected: Tensor) -> None:
    torch.testing.assert_close(torch.tensor(got, dtype=torch.float64), expected, atol=2e-5, rtol=2e-5)


# ------------------------------------------------------------------------------------------ several by route


def test_each_domain_is_marked_by_its_own_teacher(place: Workplace) -> None:
    routes = {"problems": {"model": str(place.path / "teacher")}, "few": {"model": str(place.path / "other")}}
    run = train(place, data=two_sets(place), teacher={"routes": routes}, steps=3)
    rows = rollouts_in(run.path)
    assert {row["domain"] for row in rows} == {"problems", "few"}
    for row in rows:
        own, wrong = ("teacher", "other") if row["domain"] == "problems" else ("other", "teacher")
        assert_close(row["teacher_logprob"], at(dense(place.path / own, row), row))
        assert (torch.tensor(row["teacher_logprob"]) - at(dense(place.path / wrong, row), row)).abs().max() > 0.05
    for line in metrics_of(run.path):
        if "kl/reverse_k1/few" in line:
            shares = [line[f"tokens/share/{name}"] or 0.0 for name in ("few", "problems")]
            for kind in ("kl/reverse_k1", "kl/k3"):
                parts = [line[f"{kind}/{name}"] or 0.0 for name in ("few", "problems")]
                whole = sum(share * part for share, part in zip(shares, parts, strict=True))
                assert whole == pytest.approx(line[kind])
    assert any("kl/k3/few" in line for line in metrics_of(run.path))
    assert f"problems: {place.path / 'teacher'}, few: {place.path / 'other'}" in (run.path / "report.html").read_text()


def test_a_column_may_name_the_teacher_and_whole_vocabularies_keep_theirs_apart(place: Workplace) -> None:
    """GKD over the whole vocabulary at a teacher each: the loss is that of each row's own teacher."""
    save_model(place.path / "x", seed=4)
    routes = {"x": {"model": str(place.path / "x")}, "y": {"model": str(place.path / "other")}}
    data = {"dataset": str(place.path / "few.jsonl"), "prompt": "{word} w2", "completion": "{solution}"}
    objective = {"method": "gkd", "beta": 0.0, "lmbda": 1.0}
    run = train(place, data=data, teacher={"routes": routes, "by": "subject"}, steps=1, objective=objective)
    rows = rollouts_in(run.path)
    total, count = 0.0, 0
    for row in rows:
        teacher = dense(place.path / {"x": "x", "y": "other"}[json.loads(row["extra"])["subject"]], row)
        student = dense(place.path / "student", row)
        total += float((teacher.exp() * (teacher - student)).sum())
        count += len(row["completion_ids"])
    assert metrics_of(run.path)[0]["loss"] == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize(
    ("teacher", "error", "said"),
    [
        ({"routes": {"problems": {}, "feww": {}}}, RecipeError, r"no teacher has the route 'few'; expected one of 'pr"),
        ({"routes": {"x": {}}, "by": "subject"}, DataError, r"no column 'subject'; expected one of question, answer"),
    ],
)
def test_an_unknown_route_is_found_before_any_model_is_loaded(
    place: Workplace, teacher: dict[str, Any], error: type[Exception], said: str
) -> None:
    routes = {name: {"model": "nowhere"} for name in teacher["routes"]}
    with pytest.raises(error, match=said):
        train(place, data=two_sets(place), teacher={**teacher, "routes": routes})
    assert not place.run.exists()


def test_every_teacher_must_read_what_the_student_reads(place: Workplace) -> None:
    save_model(place.path / "swapped", seed=1, swapped=True)
    routes = {"problems": {"model": str(place.path / "teacher")}, "few": {"model": str(place.path / "swapped")}}
    with pytest.raises(
        TokenizerMismatchError, match=r"student and teacher/few \(.*swapped\) have different tokenizers"
    ):
        train(place, data=two_sets(place), teacher={"routes": routes})


def test_several_teachers_cannot_write(place: Workplace) -> None:
    routes = {"problems": {"model": str(place.path / "teacher")}}
    with pytest.raises(RecipeError, match="needs a teacher that writes"):
        train(place, teacher={"routes": routes}, objective={"method": "seq_kd"})


def test_a_suite_that_compares_asks_the_teacher_of_its_name(place: Workplace) -> None:
    routes = {"problems": {"model": str(place.path / "teacher")}, "few": {"model": str(place.path / "student")}}
    suite = {"name": "few", "dataset": str(place.path / "few.jsonl"), "prompt": "{word} w2", "kind": "reverse_kl"}
    changes: dict[str, Any] = {"data": two_sets(place), "teacher": {"routes": routes}, "steps": 1}
    run = train(place, **changes, evaluation={"suites": [suite], "after": False})
    figures = json.loads((run.path / "evaluation" / "figures.jsonl").read_text().splitlines()[0])
    assert figures["eval/few/mean"] == pytest.approx(0.0, abs=1e-6), "the student before training is that teacher"
    with pytest.raises(RecipeError, match="no teacher has the route 'held-out'"):
        other = {**suite, "name": "other", "dataset": str(place.path / "held-out.jsonl"), "prompt": "{question}"}
        train(place, **changes, name="other", evaluation={"suites": [other]})


# ------------------------------------------------------------------------------------------ a mixture


def test_a_mixture_marks_with_the_mean_of_its_probabilities(place: Workplace) -> None:
    parts = [
        {"model": str(place.path / "teacher"), "weight": 0.25},
        {"model": str(place.path / "other"), "weight": 0.5, "cache": True},
        {"model": "self", "weights": "initial", "weight": 0.25},
    ]
    run = train(place, teacher={"mixture": parts}, steps=3)
    for row in rollouts_in(run.path):
        models = [dense(place.path / name, row) for name in ("teacher", "other", "student")]
        mixed = sum(w * one.exp() for w, one in zip((0.25, 0.5, 0.25), models, strict=True))
        assert isinstance(mixed, Tensor)
        assert_close(row["teacher_logprob"], at(mixed.log(), row))
    assert f"0.5 × {place.path / 'other'} + 0.25 × self" in (run.path / "report.html").read_text()


# ------------------------------------------------------------------------------------------ the student itself


def self_taught(**changes: Any) -> dict[str, Any]:
    view = {"kind": "solution", "template": TEMPLATE}
    return {"model": "self", "weights": "initial", "view": view, **changes}


def test_a_self_teacher_that_reads_the_solution_is_learned_from(place: Workplace) -> None:
    """Its log-probs are those of the student before step 0 after the solution; the reverse KL to them falls."""
    objective = {"method": "gkd", "beta": 1.0, "lmbda": 1.0}
    changes = {"rollout": {"prompts_per_step": 12, "num_generations": 4, "max_completion_length": 5}, "steps": 20}
    run = train(place, teacher=self_taught(), objective=objective, optimizer={"learning_rate": 0.02}, **changes)
    rows = rollouts_in(run.path)
    for row in rows[:8] + rows[-8:]:
        solution = [int(word[1:]) for word in json.loads(row["extra"])["solution"].split()]
        told = dense(place.path / "student", row, [*solution, 3, *row["prompt_ids"]])
        assert_close(row["teacher_logprob"], at(told, row))
    for name in ("loss", "kl/reverse_k1"):  # the divergence over the vocabulary, and its estimate on the samples
        figures = [line[name] or 0.0 for line in metrics_of(run.path)]
        first, last = sum(figures[:2]) / 2, sum(figures[-5:]) / 5
        assert first > 0.3 and last < 0.6 * first, figures


def test_adapters_that_are_switched_off_are_the_student_s_start(place: Workplace) -> None:
    student = {"model": str(place.path / "student"), "lora": {"rank": 2}}
    run = train(place, student=student, teacher=self_taught(), steps=3)
    for row in rollouts_in(run.path):
        solution = [int(word[1:]) for word in json.loads(row["extra"])["solution"].split()]
        told = dense(place.path / "student", row, [*solution, 3, *row["prompt_ids"]])
        assert_close(row["teacher_logprob"], at(told, row))


def test_peers_are_told_and_rollouts_without_one_are_counted(place: Workplace) -> None:
    view = {"kind": "peers", "template": "{text} w3 {prompt}"}
    rollout = {"prompts_per_step": 6, "num_generations": 4, "max_completion_length": 3}
    student = {"model": str(place.path / "student"), "ema_decay": 0.9}
    teacher = {"model": "self", "weights": "ema", "view": view}
    display = Heard()
    run = train(place, display, student=student, teacher=teacher, rollout=rollout, steps=2)
    assert (run.path / "report.html").is_file(), display.notices
    rows = [row for row in rollouts_in(run.path) if row["step"] == 0]
    unread = 0
    for row in rows:
        group = [one for one in rows if one["group"] == row["group"] and one["key"] != row["key"] and one["correct"]]
        peers = [one for one in group if one["completion"]]
        told = row["teacher_logprob"]
        if not peers:
            assert all(value != value for value in told), "no row, so no figure"
            unread += 1
            continue
        peer = min(peers, key=lambda one: (one["key"] < row["key"], one["key"]))
        text = [int(word[1:]) for word in peer["completion"].split()]
        assert_close(told, at(dense(place.path / "student", row, [*text, 3, *row["prompt_ids"]]), row))
    assert 0 < unread < len(rows)
    line = metrics_of(run.path)[0]
    assert line["rollouts/unaligned"] == unread
    tokens = [len(row["completion_ids"]) for row in rows if row["teacher_logprob"][0] != row["teacher_logprob"][0]]
    assert line["rollouts/unaligned_tokens"] == sum(tokens)


def test_a_step_in_which_nothing_can_be_told_moves_nothing(place: Workplace) -> None:
    view = {"kind": "feedback", "column": "absent"}
    run = train(place, teacher={"model": "self", "view": view}, steps=2)
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (place.path / "student", run.model)
    )
    assert all(before[name].equal(after[name]) for name in before)
    assert all(line["rollouts/unaligned"] == 8 and line["loss"] == 0 for line in metrics_of(run.path))


def test_a_text_beyond_the_teacher_s_context_costs_its_rows_and_nothing_else(place: Workplace) -> None:
    rows = [{"question": "w2 w3", "answer": "w3", "solution": "w4 " * (10 if n % 2 else 62)} for n in range(4)]
    write_rows(place.path / "problems.jsonl", rows)
    run = train(place, teacher=self_taught(), steps=1, rollout={"prompts_per_step": 4, "max_completion_length": 6})
    assert metrics_of(run.path)[0]["rollouts/unaligned"] == 8


def test_a_live_self_without_a_view_teaches_nothing_and_is_told(place: Workplace) -> None:
    display = Heard()
    run = train(place, display, teacher={"model": "self"}, steps=2)
    for line in metrics_of(run.path):
        assert line["loss"] == 0 and line["grad_norm"] == 0
        assert abs(line["kl/reverse_k1"] or 0.0) < 1e-5
    assert any("every comparison of the two is exactly zero" in notice for notice in display.notices)


def test_problems_without_anything_to_tell_are_counted_beforehand(place: Workplace) -> None:
    display = Heard()
    rows = [{"question": "w2", "answer": "w3", "hint": "w4" if n else None} for n in range(4)]
    write_rows(place.path / "problems.jsonl", rows)
    data = {"dataset": str(place.path / "problems.jsonl"), "prompt": "{question}", "verifier": VERIFIER}
    teacher = self_taught(view={"kind": "solution", "column": "hint", "template": TEMPLATE})
    train(place, display, data=data, teacher=teacher, steps=1)
    assert any("kind solution has nothing to tell in 1 of 4 problems" in notice for notice in display.notices)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (
            {"kind": "solution", "column": "solutoin"},
            r"no column 'solutoin'; expected one of .*Did you mean 'solution'",
        ),
        ({"kind": "demonstration"}, r"no gold completion in any problem\. Set data\.completion"),
    ],
)
def test_a_view_that_finds_nothing_is_refused_before_step_0(place: Workplace, view: dict[str, Any], said: str) -> None:
    data = {"dataset": str(place.path / "problems.jsonl"), "prompt": "{question}", "verifier": VERIFIER}
    with pytest.raises(DataError, match=said):
        train(place, data=data, teacher={"model": "self", "view": view})


def test_a_suite_cannot_compare_with_a_teacher_that_has_a_view(place: Workplace) -> None:
    suite = {"name": "kl", "dataset": str(place.path / "few.jsonl"), "prompt": "{word} w2", "kind": "reverse_kl"}
    with pytest.raises(RecipeError, match="suite 'kl' of kind 'reverse_kl' cannot ask a teacher that has a view"):
        train(place, teacher=self_taught(), evaluation={"suites": [suite]})


def test_a_run_with_a_self_teacher_resumes_to_the_same_numbers(place: Workplace) -> None:
    whole = train(place, teacher=self_taught(weights="initial"), steps=4)
    recipe = recipe_from(place.recipe(name="cut", teacher=self_taught(weights="initial"), steps=4, evaluation={}))
    run = us.train(recipe, display=Heard()).path
    (run / "checkpoints" / "step-000004" / "manifest.json").write_text("spoilt")
    us.train(recipe, resume=True, display=Heard())
    assert metrics_of(run) == metrics_of(whole.path)


# ------------------------------------------------------------------------------------------ the dry run


def test_the_dry_run_lists_every_model_and_its_memory(place: Workplace) -> None:
    folder = str(place.path / "teacher")
    routes = {
        "problems": {"model": folder, "dtype": "bfloat16"},
        "few": {"model": folder, "dtype": "bfloat16"},
        "more": {"model": folder},
        "own": {"model": "self", "weights": "initial"},
    }
    student = {"model": str(place.path / "student"), "ema_decay": 0.9}
    plan = preview(recipe_from(place.recipe(student=student, teacher={"routes": routes}, reference=folder)))
    where = {model.role: (model.model, model.where) for model in plan.models}
    assert where == {
        "student": (str(place.path / "student"), "on disk"),
        "teacher/problems": (folder, "on disk"),
        "teacher/few": (folder, "the weights of teacher/problems"),
        "teacher/more": (folder, "on disk"),
        "teacher/own": ("self", "the student's initial weights"),
        "reference": (folder, "on disk"),
    }
    size = plan.models[0].num_parameters
    assert size is not None
    memory = {name: count for name, count in plan.memory_bytes.items() if "weights" in name or "student" in name}
    assert memory == {
        "student weights": 4 * size,
        "student gradients": 4 * size,
        "student's average": 4 * size,
        "student's start": 4 * size,
        "teacher/problems weights": 2 * size,
        "teacher/more weights": 4 * size,
        "reference weights": 4 * size,
    }
    assert plan.notices == []


def test_the_dry_run_says_what_can_teach_nothing(place: Workplace) -> None:
    def notices(teacher: dict[str, Any]) -> list[str]:
        return preview(recipe_from(place.recipe(teacher=teacher))).notices

    (line,) = notices({"model": "self"})
    assert "exactly zero. Give it a view, or weights: initial or ema." in line
    assert len(notices({"mixture": [{"model": "self", "weight": 1.0}]})) == 1
    assert notices({"model": "self", "weights": "initial"}) == notices({"model": "self", "view": "solution"}) == []
    half = [{"model": "self", "weight": 0.5}, {"model": str(place.path / "teacher"), "weight": 0.5}]
    assert notices({"mixture": half}) == []


def test_a_method_that_needs_more_than_several_teachers_can_give_is_refused(place: Workplace) -> None:
    rich = local(AutoModelForCausalLM.from_pretrained(place.path / "teacher"), vocab_size=19)
    poor = Telling(rich, hides=frozenset({"hidden"}))
    recipe = recipe_from(place.recipe(objective={"method": "gkd"}, evaluation={}))
    with pytest.raises(CapabilityError, match="last hidden states"):
        us.train(recipe, teacher=RoutedScorer({"problems": rich, "few": poor}), display=Heard())
    us.train(recipe, teacher=RoutedScorer({"problems": rich}), display=Heard())
