"""What is taken out of texts before they leave the machine, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.reports.secrets import REMOVED, publishable, values_without_secrets, without_secrets


def test_values_of_the_environment_s_secrets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123abcd")
    monkeypatch.setenv("my_password", "0123abcd-and-more")
    monkeypatch.setenv("KEYBOARD", "qwertz-layout")
    monkeypatch.setenv("SHORT_TOKEN", "of")
    text = "key 0123abcd, 0123abcd-and-more of a qwertz-layout"
    assert without_secrets(text) == f"key {REMOVED}, {REMOVED} of a qwertz-layout"


@pytest.mark.parametrize("token", ["hf_" + "a1B2" * 8, "sk-" + "x" * 20, "ghp_" + "Q" * 36])
def test_what_looks_like_a_token_goes(token: str) -> None:
    assert without_secrets(f"with {token}.") == f"with {REMOVED}."
    assert without_secrets("hf_models and task-oriented-distillation-x stay") == (
        "hf_models and task-oriented-distillation-x stay"
    )


def test_data_is_searched_all_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_TOKEN", "open-sesame")
    given = {"a": [1, "x open-sesame"], "b": {"c": "https://u:p@host/x"}, "d": None, "e": ("open-sesame",)}
    expected = {"a": [1, f"x {REMOVED}"], "b": {"c": f"https://{REMOVED}@host/x"}, "d": None, "e": [REMOVED]}
    assert values_without_secrets(given) == expected


def test_the_home_folder_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/data/jane")
    assert Path.home() == Path("/data/jane")
    assert publishable("model: /data/jane/start, /data/janet/x") == "model: ~/start, /data/janet/x"
    monkeypatch.setenv("HOME", "/")
    assert publishable("/data/x") == "/data/x"
