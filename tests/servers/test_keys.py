"""Keys out of the environment, for whatever asks a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import ServerKeyError
from understudy.evaluation.grading.settings import load_panel
from understudy.servers.keys import key_in


def test_a_key_is_read_without_the_line_that_a_file_ends_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " sk-secret\n")
    assert key_in("SOME_KEY") == "sk-secret"
    assert key_in(None) is None


@pytest.mark.parametrize("value", ["", " \n", "sk-sécret", "sk\nsecret"])
def test_what_is_no_key_is_refused_and_not_shown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ServerKeyError, match=r"SOME_KEY holds no API key.*Set it") as error:
        key_in("SOME_KEY")
    assert "cret" not in str(error.value)


def test_a_graders_key_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It went into a header as it was, where a line's end makes a message that shows the key."""
    (tmp_path / "graders.yaml").write_text("graders: [{name: a, url: 'http://a:1', model: m, api_key_env: SOME_KEY}]")
    (grader,) = load_panel(tmp_path / "graders.yaml").graders
    monkeypatch.setenv("SOME_KEY", "sk-secret\n")
    assert grader.key() == "sk-secret"
    monkeypatch.setenv("SOME_KEY", "sk-sécret")
    with pytest.raises(ServerKeyError, match="for the grader 'a'"):
        grader.key()
