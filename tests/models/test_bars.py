"""Bars of libraries: weights that are read show none, and downloads go on to show theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers.utils import logging

from tests.tiny_files import save_model
from understudy.models.load import load_model


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    weights, downloads = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    yield
    (logging.enable_progress_bar if weights else logging.disable_progress_bar)()
    (enable_progress_bars if downloads else disable_progress_bars)()


@pytest.mark.parametrize("downloads_shown", [True, False])
def test_only_the_bar_of_weights_is_hidden(
    downloads_shown: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "model", seed=0)
    logging.enable_progress_bar()
    (enable_progress_bars if downloads_shown else disable_progress_bars)()
    capfd.readouterr()
    load_model(str(tmp_path / "model"))
    assert "Loading weights" not in capfd.readouterr().err
    assert are_progress_bars_disabled() is not downloads_shown
