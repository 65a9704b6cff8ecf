"""What the command line says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from understudy.objectives.methods import objective_of
from understudy.recipe import recipe_from


def test_methods_as_json(understudy: Understudy) -> None:
    ended = understudy("methods", "--json")
    assert ended.code == 0
    methods = json.loads(ended.out)
    assert [method["name"] for method in methods] == sorted(method["name"] for method in methods)
    assert {"gkd", "opd", "seq_kd", "sft"} <= {method["name"] for method in methods}
    for method in methods:
        assert {"name", "source", "needs"} <= set(method)
        assert method["source"]
        assert method["needs"]
        assert all(isinstance(need, str) for need in method["needs"])


def test_a_listed_method_is_one_a_recipe_takes(understudy: Understudy) -> None:
    for method in json.loads(understudy("methods", "--json").out):
        recipe = recipe_from(
            {
                "student": {"model": "s"},
                "data": {"dataset": "d"},
                "objective": {"method": method["name"]},
                "steps": 1,
            }
        )
        assert set(objective_of(recipe.objective).needs.describe()) <= set(method["needs"])


def test_methods_as_a_table(understudy: Understudy) -> None:
    lines = understudy("methods").out.splitlines()
    assert lines[0].split() == ["method", "what", "it", "is", "needs", "source"]
    assert any(line.startswith("opd") and "Tinker recipe" in line and "teacher_logprob" in line for line in lines)
    assert any(line.startswith("gkd") and line.rstrip().endswith("arXiv:2306.13649") for line in lines)
    assert lines[-1].startswith("understudy methods NAME")


def test_the_page_of_one_method(understudy: Understudy) -> None:
    assert understudy("methods", "opd").out.startswith("# opd\n")
    (method,) = json.loads(understudy("methods", "opd", "--json").out)
    assert method["name"] == "opd" and {"name": "discount", "default": 0.0}.items() <= method["fields"][1].items()
    assert_is_refused(understudy("methods", "opp", "--json"), "got 'opp'", "Did you mean opd?")


def test_the_pages_of_all_methods(tmp_path: Path, understudy: Understudy) -> None:
    assert understudy("methods", "--markdown", tmp_path / "pages").code == 0
    assert (tmp_path / "pages" / "opd.md").read_text().count(understudy("methods", "opd").out) == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["train", "--help"], ["evaluate", "-h"], ["demo", "-h"]])
def test_help(arguments: list[str], understudy: Understudy) -> None:
    shown = understudy(*arguments)
    assert shown.code == (0 if arguments else 2)
    assert "Usage: understudy" in shown.out + shown.err


@pytest.mark.parametrize("group", [[], ["bench"], ["office"]])
def test_the_list_of_commands_says_what_each_does(
    group: list[str], understudy: Understudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = understudy(*group, "--help").out.split("Commands:\n")[1]
    assert "..." not in commands, "a summary that does not fit into 80 columns is cut"
    if not group:
        assert [line.split()[0] for line in commands.splitlines()[:3]] == ["demo", "train", "doctor"]


def test_an_interrupted_start_is_told(
    place: Workplace, understudy: Understudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:  # not by a signal, which a shell's background job does not hear
        raise KeyboardInterrupt

    monkeypatch.setattr("understudy.recipe.load_recipe", interrupt)
    ended = understudy("train", "tiny.yaml")
    assert (ended.code, ended.err) == (130, "understudy: interrupted\n")


def test_the_demo_does_not_touch_a_folder_that_is_no_demo(tmp_path: Path, understudy: Understudy) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    ended = understudy("demo", "--out", tmp_path)
    assert_is_refused(ended, f"{tmp_path} exists and is no demo", "--out")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_version(understudy: Understudy) -> None:
    told = understudy("--version")
    assert told.code == 0 and told.out == f"understudy {metadata.version('understudy')}\n"


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; sys.argv = ['understudy', 'train', '--help']\n"
        "from understudy.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_as_a_program() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "understudy", "methods", "--json"], check=False, capture_output=True, text=True
    )
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert json.loads(shown.stdout)
