"""The ratio of ATOD's two signals, from a file of rollouts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy.bench.agents.ratio import kept_ratios, signal_ratio

NAN = float("nan")


def keep(path: Path, distillation: list[list[float]], reward: list[list[float]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"policy/distillation": distillation, "policy/reward": reward}), path)
    return path


def test_sizes_are_means_over_the_tokens_that_took_part(tmp_path: Path) -> None:
    """Mean |d| is (1 + 2 + 3) / 3 = 2, mean |r| is (.5 + .5 + .5) / 3 = .5; tokens without a figure do not count."""
    file = keep(tmp_path / "a.parquet", [[1.0, -2.0, NAN], [3.0]], [[-0.5, 0.5, NAN], [0.5]])
    assert signal_ratio(file) == pytest.approx(4.0)


def test_equal_rewards_and_other_methods_give_none(tmp_path: Path) -> None:
    assert signal_ratio(keep(tmp_path / "a.parquet", [[1.0]], [[0.0]])) is None
    pq.write_table(pa.table({"policy/advantage": [[1.0]]}), tmp_path / "b.parquet")
    assert signal_ratio(tmp_path / "b.parquet") is None


def test_only_the_steps_that_were_kept_have_one(tmp_path: Path) -> None:
    for step, size in ((0, 3.0), (4, 0.25)):
        keep(tmp_path / "rollouts" / f"step-{step:06d}.parquet", [[size]], [[0.5]])
    assert kept_ratios(tmp_path / "rollouts", steps=6) == {0: 6.0, 4: 0.5}
