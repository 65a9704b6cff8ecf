"""``understudy doctor`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from tests.doctor.pairs import phi, write_pair, write_problems
from understudy.cli import app
from understudy.recipe import to_yaml

KEYS = {"check", "verdict", "what", "remedy"}


def written(tmp_path: Path) -> Path:
    recipe = tmp_path / "pair.yaml"
    recipe.write_text(to_yaml(write_pair(tmp_path, phi)))
    return recipe


def test_a_healthy_pair(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(written(tmp_path)), "--problems", "8"])
    assert done.exit_code == 0 and "recommended method: opd" in done.stdout
    assert "warn" not in done.stdout and "signal balance" in done.stdout


def test_json_and_exit_status_of_a_stop(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    write_problems(tmp_path / "held-out.jsonl", first=2)
    done = CliRunner().invoke(app, ["doctor", str(recipe), "--json"])
    page = json.loads(done.stdout)
    assert done.exit_code == 1 and all(set(one) == KEYS for one in page["findings"])
    assert [one["check"] for one in page["findings"] if one["verdict"] == "stop"] == ["contamination"]


def test_fast_measures_nothing_and_takes_overrides(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    done = CliRunner().invoke(app, ["doctor", str(recipe), "rollout.max_completion_length=300", "--fast", "--json"])
    page = json.loads(done.stdout)
    assert done.exit_code == 1 and page["measures"] is None
    assert "context" in {one["check"] for one in page["findings"] if one["verdict"] == "stop"}


def test_a_model_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    content = yaml.safe_load(recipe.read_text())
    content["teacher"]["model"] = str(tmp_path / "nobody")
    recipe.write_text(yaml.safe_dump(content))
    done = CliRunner().invoke(app, ["doctor", str(recipe), "--json"])
    (finding,) = json.loads(done.stdout)["findings"]
    assert done.exit_code == 1 and finding["check"] == "models" and "nobody" in finding["what"]
