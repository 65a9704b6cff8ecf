"""The smallest workload, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.bench.speed.workload import SIZES, write_workload


@pytest.fixture(scope="session")
def mini(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mini")
    write_workload(folder, SIZES["mini"])
    return folder
