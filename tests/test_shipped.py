"""The recipes that come with the package are the repository's own files."""

from __future__ import annotations

from pathlib import Path

from understudy.recipe import load_recipe
from understudy.shipped import shipped_recipe, shipped_recipes

RECIPES = Path(__file__).parents[1] / "recipes"


def test_they_are_the_files_of_the_repository_and_no_copies() -> None:
    assert shipped_recipes() == sorted(file.stem for file in RECIPES.glob("*.yaml"))
    for name in shipped_recipes():
        file = shipped_recipe(name)
        assert file is not None and file.samefile(RECIPES / f"{name}.yaml")


def test_a_name_alone_is_one_of_them_unless_a_file_has_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = load_recipe("atod-alfworld-0.6b", ["seed=7"])
    assert named == load_recipe(RECIPES / "atod-alfworld-0.6b.yaml", ["seed=7"]) and named.name == "atod-alfworld-0.6b"
    mine = (RECIPES / "toy-turns.yaml").read_text()
    (tmp_path / "testbed-opd").write_text(mine)
    assert load_recipe("testbed-opd").environment.kind == "remember_digit"
