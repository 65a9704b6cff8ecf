"""The card beside the weights: true, loadable, repeatable, and safe to publish whatever the run's texts are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from peft import PeftModel
from safetensors.torch import load_file
from transformers.utils import logging

import understudy as us
from tests.reports.hand_made import HOSTILE, SCRIPT
from tests.tiny_files import Workplace, make_workplace
from understudy.recipe import load_recipe, recipe_from
from understudy.reports import reading
from understudy.reports.model_card import card_of, write_card
from understudy.reports.reading import read_run
from understudy.training import checkpoint
from understudy.training.progress import Silent

TOKEN = "hf_" + "Ab3" * 10


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    logging.disable_progress_bar()
    return make_workplace(tmp_path)


def trained(place: Workplace, *overrides: str, **own: object) -> Path:
    return us.train(place.path / "tiny.yaml", overrides, display=Silent(), **own).path  # type: ignore[arg-type]


def card_in(run: Path, step: int, form: str = "model") -> str:
    return (run / "checkpoints" / f"step-{step:06d}" / form / "README.md").read_text(encoding="utf-8")


def blocks(card: str, language: str) -> list[str]:
    return [
        token.content for token in MarkdownIt().parse(body(card)) if token.type == "fence" and token.info == language
    ]


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


def rows_of(card: str) -> dict[str, list[str]]:
    """Cells of all tables as their readers see them, by the first cell of each row."""
    html = MarkdownIt().enable("table").render(body(card))
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html, re.S)]
    return {first: rest for first, *rest in ([re.sub(r"</?code>", "", cell) for cell in row] for row in cells)}


def loaded_by(card: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the card's own lines leave, run as its reader would."""
    (lines,) = blocks(card, "python")
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(lines, names)
    return names


def test_every_checkpoint_says_what_its_weights_are(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(place)
    for step in (2, 4):
        card = card_in(run, step)
        assert ModelCard(card).data.to_dict() == {
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["understudy", "opd"],
        }, "local folders are no names on a hub, and nobody chose a licence"
        rows = rows_of(card)
        assert rows["Base model"] == [str(place.path / "student")]
        assert rows["Teacher"] == [str(place.path / "teacher")]
        assert rows["Method"] == ["opd"]
        assert "Thinking Machines Lab" in rows["Its source"][0]
        assert rows["Data"] == [str(place.path / "problems.jsonl")]
        assert (rows["Steps"], rows["Seed"]) == ([f"{step} of 4"], ["3"])
        assert rows["suite"] == ["before training", f"after {step} steps"]
        (again,) = blocks(card, "yaml")
        assert recipe_from(yaml.safe_load(again)) == load_recipe(run / "recipe.yaml")
        assert rows["data"] == ["used for", "licence"]
        assert rows[str(place.path / "problems.jsonl")][-1] == "not known to the run"
        (cited,) = blocks(card, "bibtex")
        assert "title        = {{On-Policy Distillation}}" in cited and cited.startswith("@software{understudy,")
        assert "![Curves of the run](curves.svg)" in card
        drawn = ElementTree.parse(run / "checkpoints" / f"step-{step:06d}" / "model" / "curves.svg")
        assert "Evaluation: words" in {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}

    summary = json.loads((run / "summary.json").read_text())["suites"]["words"]
    means = [float(re.match(r"[\d.]+", cell)[0]) for cell in rows_of(card_in(run, 4))["words"]]  # type: ignore[index]
    assert means == pytest.approx([100 * summary["before"]["mean"], 100 * summary["after"]["mean"]], abs=0.1)

    folder = run / "checkpoints" / "step-000004" / "model"
    names = loaded_by(card_in(run, 4), folder, monkeypatch)
    saved = load_file(folder / "model.safetensors")
    assert saved
    parameters = dict(names["model"].named_parameters())  # type: ignore[attr-defined]
    assert all(torch.equal(parameters[name], value) for name, value in saved.items())
    assert names["tokenizer"].convert_tokens_to_ids("w7") > 0  # type: ignore[attr-defined]


def test_an_adapter_s_card_loads_it_on_its_base(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(place, "student.lora={rank: 2}", "steps=2")
    card = card_in(run, 2, "adapter")
    assert ModelCard(card).data.to_dict()["library_name"] == "peft"
    names = loaded_by(card, run / "checkpoints" / "step-000002" / "adapter", monkeypatch)
    model = names["model"]
    assert isinstance(model, PeftModel)
    assert any(bool(value.any()) for name, value in model.named_parameters() if "lora_B" in name), "it has learned"


def test_what_did_not_come_from_the_recipe_is_said(place: Workplace) -> None:
    from understudy.objectives.methods import objective_of
    from understudy.objectives.methods.opd import OPD

    run = trained(place, "steps=2", objective=objective_of(OPD()))
    assert "Its objective came from a program of its maker's" in card_in(run, 2)
    assert "came from a program" not in card_in(trained(place, "steps=2", "name=plain"), 2)


def test_its_owner_may_rewrite_the_card_of_a_checkpoint(place: Workplace) -> None:
    run = trained(place)
    folder = run / "checkpoints" / "step-000004"
    card = folder / "model" / "README.md"
    card.write_text(card.read_text().replace("---\nlibrary_name", "---\nlicense: apache-2.0\nlibrary_name", 1))
    assert ModelCard.load(card).data.to_dict()["license"] == "apache-2.0"
    assert checkpoint.faults_of(folder) is None
    us.train(place.path / "tiny.yaml", resume=True, display=Silent())
    assert ModelCard.load(card).data.to_dict()["license"] == "apache-2.0"


def written_run(path: Path, **changes: object) -> Path:
    """A run's folder with a recipe, an environment and two evaluations, every text as given."""
    recipe = {
        "name": "written",
        "student": {"model": "Qwen/Qwen3-1.7B-Base"},
        "teacher": {"model": "Qwen/Qwen3-8B"},
        "data": {"dataset": "openai/gsm8k"},
        "objective": {"method": "opd"},
        "steps": 9,
        **changes,
    }
    (path / "evaluation").mkdir(parents=True)
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False), encoding="utf-8")
    (path / "metrics.jsonl").write_text("")
    (path / "environment.json").write_text(json.dumps({"versions": {"understudy": "0.1.0", "torch": "2.13.0"}}))
    lines = [
        {"step": step, f"eval/{changes.get('suite', 'words')}/mean": 0.25 + step / 10, "eval/x/low": None}
        for step in (0, 3, 7)
    ]
    (path / "evaluation" / "figures.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_names_on_a_hub_go_into_the_head(tmp_path: Path) -> None:
    mixture = {"mixture": [{"dataset": "openai/gsm8k"}, {"dataset": "own.jsonl"}, {"dataset": "a/b"}]}
    run = read_run(
        written_run(tmp_path, data=mixture, teacher={"routes": {"a": {"model": "self"}, "b": {"model": "t"}}})
    )
    head = ModelCard(card_of(run, form="adapter", step=5)).data.to_dict()
    assert head["base_model"] == "Qwen/Qwen3-1.7B-Base"
    assert head["base_model_relation"] == "adapter"
    assert head["datasets"] == ["openai/gsm8k", "a/b"]
    assert rows_of(card_of(run, form="adapter", step=5))["Teacher"] == ["the model itself, t"]


def test_licences_are_those_that_the_run_recorded(tmp_path: Path) -> None:
    folder = written_run(tmp_path)
    data = {"training": [{"dataset": "openai/gsm8k", "licence": "MIT"}, {"dataset": "own.jsonl"}], "suites": [{}]}
    (folder / "data.json").write_text(json.dumps(data))
    rows = rows_of(card_of(read_run(folder), form="model", step=5))
    assert rows["openai/gsm8k"] == ["training", "MIT"]
    assert rows["own.jsonl"] == ["training", "not known to the run"]
    (folder / "data.json").write_text('{"training": 7, "suites": [null, 3]}')
    assert "## Licence" in card_of(read_run(folder), form="model", step=5)


def test_only_what_is_known_by_then_is_shown(tmp_path: Path) -> None:
    run = read_run(written_run(tmp_path))
    assert rows_of(card_of(run, form="model", step=6))["suite"] == ["before training", "after 3 steps"]
    assert rows_of(card_of(run, form="model", step=2))["suite"] == ["before training"]
    assert rows_of(card_of(run, form="model", step=9))["words"][1].startswith("95.0")


def test_a_card_does_not_read_every_step_of_a_long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written with each checkpoint: a run of 7,000 steps would spend as long on its cards as on its steps."""
    run, read, line_of = written_run(tmp_path / "run"), list[str](), reading.line_of
    lines = [json.dumps({"step": step, "loss": 1 / (step + 1), "reward/mean": step}) + "\n" for step in range(3001)]
    (run / "metrics.jsonl").write_text("".join(lines))
    model = tmp_path / "checkpoint" / "model"
    model.mkdir(parents=True)
    monkeypatch.setattr(reading, "line_of", lambda text: read.append(text) or line_of(text))
    write_card(run, model.parent, step=3001)
    assert len(read) < 450
    assert lines[-1] in read
    assert ">3,000<" in (model / "curves.svg").read_text()


def test_texts_of_a_run_stay_text(tmp_path: Path) -> None:
    """Names that are HTML, links, tables, fences and front matter: all are read, none acts."""
    nasty = f"{HOSTILE} [x](http://e.vil) ![y](z) | a ``` --- ```` <https://e.vil> $x$ @you"
    run = read_run(
        written_run(
            tmp_path,
            name=nasty,
            student={"model": nasty},
            teacher={"model": f"---\nlicense: mit\n---\n{SCRIPT}"},
            data={"dataset": nasty, "prompt": f"```\n# heading\n{SCRIPT}\n````\n"},
            suite="a|b`" + SCRIPT.replace("/", ""),
        )
    )
    card = card_of(run, form="model", step=7)
    head = ModelCard(card).data.to_dict()
    assert set(head) == {"library_name", "pipeline_tag", "tags"}
    tokens = MarkdownIt(options_update={"html": True, "linkify": False}).enable("table").parse(body(card))
    kinds = {token.type for token in tokens} | {inner.type for token in tokens for inner in token.children or ()}
    assert not {"html_inline", "html_block", "link_open", "image"} & kinds
    assert len([token for token in tokens if token.type == "heading_open"]) == 7, "none but the card's own"
    (again,) = blocks(card, "yaml")
    assert yaml.safe_load(again)["data"]["prompt"] == run.setting("data", "prompt")
    assert rows_of(card)["Base model"][0].startswith("&lt;script&gt;window.pwned = 1&lt;/script&gt;")


def test_secrets_and_the_home_folder_are_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_API_KEY", "open-sesame-1234")
    monkeypatch.setenv("HOME", "/data/users/jane")
    run = read_run(
        written_run(
            tmp_path,
            student={"model": "/data/users/jane/models/start"},
            data={"dataset": "https://jane:pass@host/data", "prompt": f"{{question}} open-sesame-1234 {TOKEN}"},
        )
    )
    card = card_of(run, form="model", step=7)
    for secret in ("open-sesame", TOKEN, "jane"):
        assert secret not in card
    assert rows_of(card)["Base model"] == ["~/models/start"]
