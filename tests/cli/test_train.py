"""A run from recipe to model through the command line."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.cli.conftest import Understudy
from tests.tiny_files import SUITE, Workplace, files_of, metrics_of
from understudy.recipe import load_recipe
from understudy.training import rollout_files

ESTIMATE = {"mean", "low", "high", "n"}
PAIRED = {"wins", "ties", "losses", "win_rate", "margin", "margin_low", "margin_high", "p_value"}


def test_a_run_leaves_what_it_promises(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("train", "tiny.yaml")
    assert ended.code == 0
    assert ended.err.count("step ") >= 4, "progress, one line a step where nobody looks at a screen"
    assert "words" in ended.out
    assert "summary.json holds the figures" in ended.out

    summary = json.loads((place.run / "summary.json").read_text())
    assert set(summary) == {"name", "method", "seed", "steps", "seconds", "suites"}
    assert [summary[key] for key in ("name", "method", "seed", "steps")] == ["tiny", "opd", 3, 4]
    assert 0 < summary["seconds"] < 600
    (words,) = summary["suites"].values()
    assert set(words) == {"better", "teacher", "before", "after", "paired", "lengths"}
    assert words["better"] == "higher"
    for who in ("teacher", "before", "after"):
        assert set(words[who]) == ESTIMATE
        assert words[who]["low"] <= words[who]["mean"] <= words[who]["high"]
        assert words[who]["n"] == 12
    assert set(words["paired"]) == PAIRED
    assert sum(words["paired"][key] for key in ("wins", "ties", "losses")) == 12

    lines = metrics_of(place.run)
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    for line in lines:
        assert line["loss"] == pytest.approx(line["loss/policy"])
        assert line["num_tokens"] > 0
        assert all(value is None or math.isfinite(value) for value in line.values())

    assert sorted(file.name for file in (place.run / "rollouts").iterdir()) == [
        f"step-{step:06d}.parquet" for step in range(4)
    ]
    evaluations = {file.name for file in (place.run / "evaluation").iterdir()}
    assert evaluations == {"figures.jsonl", "teacher-words.json", *(f"step-00000{n}-words.json" for n in (0, 2, 4))}
    checkpoints = sorted(folder.name for folder in (place.run / "checkpoints").iterdir())
    assert checkpoints == ["step-000002", "step-000004"]
    assert json.loads((place.run / "environment.json").read_text())["seed"] == 3

    model = place.run / "checkpoints" / "step-000004" / "model"
    assert str(model) in ended.out
    assert AutoModelForCausalLM.from_pretrained(model).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(model)("w2 w3").input_ids == [2, 3]


def test_figures_of_the_summary_come_from_the_evaluation_files(place: Workplace, understudy: Understudy) -> None:
    understudy("train", "tiny.yaml")
    suite = json.loads((place.run / "summary.json").read_text())["suites"]["words"]
    scores = {}
    for who, label in (("teacher", "teacher"), ("before", "step-000000"), ("after", "step-000004")):
        kept = json.loads((place.run / "evaluation" / f"{label}-words.json").read_text())
        samples = kept["samples"]
        assert len(samples) == 12 * SUITE["num_samples"]
        problems = {sample["problem"] for sample in samples}
        scores[who] = {p: sum(s["correct"] for s in samples if s["problem"] == p) / 3 for p in problems}
        assert suite[who]["mean"] == pytest.approx(sum(scores[who].values()) / 12)
    wins = sum(scores["after"][p] > scores["before"][p] for p in scores["after"])
    losses = sum(scores["after"][p] < scores["before"][p] for p in scores["after"])
    assert (suite["paired"]["wins"], suite["paired"]["losses"]) == (wins, losses)


def test_rollouts_are_readable_and_agree_with_the_metrics(place: Workplace, understudy: Understudy) -> None:
    understudy("train", "tiny.yaml")
    for step, line in enumerate(metrics_of(place.run)):
        file = rollout_files.file_of(place.run / "rollouts", step)
        rollouts = rollout_files.read(file)
        assert len(rollouts) == 8
        assert sum(rollout.reward or 0 for rollout in rollouts) / 8 == pytest.approx(line["reward"])
        rows = pq.read_table(file).to_pylist()
        for row in rows:
            assert row["completion"].split() == [f"w{id}" for id in row["completion_ids"] if id > 1]
        pairs = [(s, t) for row in rows for s, t in zip(row["student_logprob"], row["teacher_logprob"], strict=True)]
        assert sum(s - t for s, t in pairs) / len(pairs) == pytest.approx(line["kl/reverse_k1"], rel=1e-5)


def test_the_same_recipe_gives_the_same_numbers(place: Workplace, understudy: Understudy) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert understudy("train", "tiny.yaml", f"name={name}", f"seed={seed}", "steps=2").code == 0
    a, b, c = (metrics_of(place.path / "runs" / name) for name in "abc")
    assert a == b
    assert a[0]["loss"] != c[0]["loss"]


def test_overrides_reach_the_run(place: Workplace, understudy: Understudy) -> None:
    overrides = ["name=other", "steps=3", "objective={method: gkd, beta: 1}", "rollout.prompts_per_step=2"]
    ended = understudy("train", "tiny.yaml", *overrides, "evaluation.suites=[]", "optimizer.schedule=linear", "--json")
    assert ended.code == 0
    assert not place.run.exists()
    run = place.path / "runs" / "other"
    assert json.loads(ended.out) == json.loads((run / "summary.json").read_text())
    assert json.loads(ended.out)["method"] == "gkd"
    assert json.loads(ended.out)["suites"] == {}
    rates = [line["learning_rate"] for line in metrics_of(run)]
    assert len(rates) == 3
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert len(rollout_files.read(run / "rollouts" / "step-000000.parquet")) <= 4


@pytest.mark.parametrize("method", ["sft", "seq_kd", "gkd", "opd"])
def test_every_method_runs(method: str, place: Workplace, understudy: Understudy) -> None:
    place.write_recipe(objective={"method": method}, steps=2, teacher=None if method == "sft" else {"model": "teacher"})
    assert understudy("train", "tiny.yaml").code == 0
    suite = json.loads((place.run / "summary.json").read_text())["suites"]["words"]
    assert set(suite) == {"better", "before", "after", "paired", "lengths"} | (
        set() if method == "sft" else {"teacher"}
    )


def test_a_name_defaults_to_the_recipe_file(place: Workplace, understudy: Understudy) -> None:
    place.write_recipe("mine.yaml", name=None, steps=1)
    assert understudy("train", "mine.yaml").code == 0
    assert (place.path / "runs" / "mine" / "summary.json").exists()


def test_print_recipe_round_trips(place: Workplace, understudy: Understudy) -> None:
    printed = understudy("train", "tiny.yaml", "optimizer.learning_rate=0.5", "--print-recipe")
    assert printed.code == 0
    assert printed.err == ""
    assert not (place.path / "runs").exists()
    (place.path / "again.yaml").write_text(printed.out)
    assert load_recipe("again.yaml") == load_recipe("tiny.yaml", ["optimizer.learning_rate=0.5"])
    assert understudy("train", "again.yaml", "--print-recipe").out == printed.out
    as_json = understudy("train", "again.yaml", "--print-recipe", "--json").out
    assert json.loads(as_json) == yaml.safe_load(printed.out)
    assert yaml.safe_load(printed.out)["optimizer"]["learning_rate"] == 0.5
    assert yaml.safe_load(printed.out)["rollout"]["top_p"] == 1.0, "every field is there"


def test_dry_run_tells_and_makes_nothing(place: Workplace, understudy: Understudy) -> None:
    before = files_of(place.path)
    shown = understudy("train", "tiny.yaml", "--dry-run")
    assert shown.code == 0
    assert files_of(place.path) == before
    for words in ("opd", "teacher_logprob", "8 rollouts", "2,672 parameters", "memory: total", "to fetch", "nothing"):
        assert words in shown.out


def test_dry_run_lists_what_would_be_fetched(place: Workplace, understudy: Understudy) -> None:
    """The names exist nowhere and the network is off: nothing is loaded, all is listed."""
    names = ["student.model=owner/small", "teacher.model=owner/large", "data.dataset=owner/questions"]
    shown = understudy("train", "tiny.yaml", *names, "--dry-run", "--json")
    assert shown.code == 0, shown.err
    plan = json.loads(shown.out)
    assert plan["fetches"] == ["owner/small", "owner/large", "owner/questions"]
    assert [(model["role"], model["num_parameters"]) for model in plan["models"]] == [
        ("student", None),
        ("teacher", None),
    ]
    assert plan["memory_bytes"] == {}
    assert plan["planned_rows"]["policy"] > 0
    assert not (place.path / "runs").exists()
    as_text = understudy("train", "tiny.yaml", *names, "--dry-run")
    assert "owner/small, owner/large, owner/questions" in as_text.out
    assert "unknown until the student is on this machine" in as_text.out


def test_dry_run_tells_paths_that_lead_nowhere_from_names_of_the_hub(place: Workplace, understudy: Understudy) -> None:
    names = ["student.model=./nowhere", "teacher.model=owner/large", "data.dataset=nothing.jsonl"]
    plan = json.loads(understudy("train", "tiny.yaml", *names, "--dry-run", "--json").out)
    assert (plan["fetches"], plan["missing"]) == (["owner/large"], ["./nowhere", "nothing.jsonl"])
    assert [model["where"] for model in plan["models"]] == ["not here", "to fetch"]
    assert "./nowhere, nothing.jsonl" in understudy("train", "tiny.yaml", *names, "--dry-run").out


def test_dry_run_reads_models_as_loading_does(place: Workplace, understudy: Understudy) -> None:
    (place.path / "adapter").mkdir()
    (place.path / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "teacher"}')
    plan = json.loads(understudy("train", "tiny.yaml", "teacher.model=adapter", "--dry-run", "--json").out)
    assert (plan["models"][1]["where"], plan["models"][1]["num_parameters"]) == ("on disk", 2672)
    assert plan["fetches"] == []
    for name, settings in (("encoder", {"model_type": "t5"}), ("odd", {"model_type": "qwen3", "hidden_size": "x"})):
        (place.path / name).mkdir()
        (place.path / name / "config.json").write_text(json.dumps(settings))
        for command in (("train", "--dry-run"), ("doctor", "--fast")):
            ended = understudy(command[0], "tiny.yaml", f"teacher.model={name}", command[1])
            assert ended.code == (2 if command[0] == "train" else 1)
            assert f"{name} " in ended.out + ended.err and "causal language model" in ended.out + ended.err


def test_dry_run_finds_mistakes_of_the_recipe(place: Workplace, understudy: Understudy) -> None:
    shown = understudy("train", "tiny.yaml", "--dry-run", "rollout.num_generations=0")
    assert shown.code == 2
    assert "rollout.num_generations" in shown.err


def test_dry_run_knows_learning_rates_and_memory(place: Workplace, understudy: Understudy) -> None:
    arguments = ["optimizer.schedule=linear", "optimizer.warmup_steps=1", "steps=5", "--dry-run", "--json"]
    plan = json.loads(understudy("train", "tiny.yaml", *arguments).out)
    trained = understudy("train", "tiny.yaml", *arguments[:3])
    assert trained.code == 0
    rates = [line["learning_rate"] for line in metrics_of(place.run)]
    assert plan["learning_rates"] == pytest.approx([rates[0], rates[2], rates[4]])
    weights = place.run / "checkpoints" / "step-000005" / "model" / "model.safetensors"
    assert plan["memory_bytes"]["student weights"] == pytest.approx(weights.stat().st_size, rel=0.2)
