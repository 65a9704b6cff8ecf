"""Where weights for servers are written, and by whom."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from understudy.build.supplies import supply_of


@pytest.mark.parametrize("rank", [0, 1])
def test_without_a_runs_folder_no_rank_leaves_an_empty_one(
    rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nobody: Any = SimpleNamespace(adopt=lambda *_: None)
    ranks: Any = SimpleNamespace(rank=rank, size=2)
    supply_of("disk", nobody, nobody, run=None, ranks=ranks, meet=lambda: None)
    assert list(tmp_path.iterdir()) == [], "the first rank makes its own with the first weights"
