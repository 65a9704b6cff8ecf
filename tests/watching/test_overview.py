"""The table of runs: rows of what has not changed are not made again, however many there are."""

from __future__ import annotations

import json
from pathlib import Path

from understudy.reports.reading import RunRecord
from understudy.watching.finding import runs_below
from understudy.watching.following import Follower
from understudy.watching.overview import Kept, rows_of


class Counting(Follower):
    """A follower that tells whose records it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def record(self, run: Path) -> RunRecord:
        """The record."""
        self.asked.append(run.name)
        return super().record(run)


def test_only_rows_of_what_has_changed_are_made_again(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(f"name: {name}\nsteps: 9\n")
        (tmp_path / name / "metrics.jsonl").write_text('{"step": 0, "reward": 0.5}\n')
    runs, follower, kept = runs_below((tmp_path,)).values(), Counting(), Kept()
    before = {row.name: row for row in rows_of(runs, follower, kept)}
    assert sorted(follower.asked) == ["one", "three", "two"] and {row.state for row in before.values()} == {"stopped"}
    follower.asked.clear()
    with (tmp_path / "two" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "reward": 0.75}\n')
    (tmp_path / "three" / "ending.json").write_text(json.dumps({"state": "failed", "why": "no room"}))
    after = {row.name: row for row in rows_of(runs, follower, kept)}
    assert sorted(follower.asked) == ["three", "two"] and after["one"] is before["one"]
    assert (after["two"].step, after["two"].value, after["three"].why) == (2, 0.75, "no room")
    follower.asked.clear()
    assert rows_of(runs, follower, kept) == list(after.values()) and not follower.asked
