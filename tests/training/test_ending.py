"""How a run ended is told in its folder, without a stranger's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import DataError
from understudy.training.ending import ENDING, ending_told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DataError("no rows", got="a secret"), {"state": "failed", "why": "no rows"}),
        (ValueError("a secret"), {"state": "failed", "why": "ValueError"}),
        (KeyboardInterrupt(), {"state": "stopped", "why": "interrupted"}),
    ],
)
def test_an_error_is_told_and_passes(tmp_path: Path, error: BaseException, told: dict[str, str]) -> None:
    with pytest.raises(type(error)), ending_told(tmp_path):
        raise error
    assert json.loads((tmp_path / ENDING).read_text()) == told


def test_the_next_session_forgets_it(tmp_path: Path) -> None:
    (tmp_path / ENDING).write_text("{}")
    with ending_told(tmp_path):
        assert not (tmp_path / ENDING).exists()
    assert not (tmp_path / ENDING).exists()
