"""Home folders, and users who have none."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from tests.tiny_files import Workplace, make_workplace
from understudy.errors import UserMistakeError
from understudy.home import expanded, home
from understudy.models.locate import check_location
from understudy.models.papers import load_papers
from understudy.recipe import load_recipe
from understudy.reports.secrets import publishable


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry anywhere."""

    def nobody(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("UNDERSTUDY_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_folder_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserMistakeError, match="Set UNDERSTUDY_HOME to a folder"):
        home()
    with pytest.raises(UserMistakeError, match="the home folder in ~/models is not known"):
        expanded("~/models")
    assert publishable("/data/x") == "/data/x"
    monkeypatch.setenv("UNDERSTUDY_HOME", "/data/kept")
    assert home() == Path("/data/kept")


def test_a_stranger_s_home_folder_is_a_mistake_in_a_sentence() -> None:
    for reads in (expanded, load_papers):
        with pytest.raises(UserMistakeError, match="the home folder in ~nobody-of-this-name/x is not known"):
            reads("~nobody-of-this-name/x")
    with pytest.raises(UserMistakeError, match="no model at ~/x"):
        check_location("~/x")


def test_a_recipe_s_paths_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's folder too, which once was made below one called ``~``."""
    place: Workplace = make_workplace(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_papers("~/student").name == str(tmp_path / "student")
    recipe = load_recipe(place.path / "tiny.yaml", "output=~/kept")
    assert recipe.run_directory == tmp_path / "kept" / "tiny"
