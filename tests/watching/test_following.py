"""A growing run is read as a whole reading would read it."""

from __future__ import annotations

import json
from pathlib import Path

from understudy.reports.reading import read_run
from understudy.watching.following import Follower


def test_what_is_added_is_met_and_what_is_rewritten_read_again(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("steps: 9\n")
    metrics = tmp_path / "metrics.jsonl"
    follower = Follower()

    def same() -> int:
        found = follower.record(tmp_path)
        assert found == read_run(tmp_path)
        return len(found.metrics)

    assert same() == 0
    with metrics.open("a") as file:
        for step in range(3):
            file.write(json.dumps({"step": step, "loss": 1.0}) + "\n")
    assert same() == 3
    with metrics.open("a") as file:
        file.write('{"step": 3, "lo')
        file.flush()
        assert [line["step"] for line in follower.record(tmp_path).metrics] == [0, 1, 2], "half a line waits"
        file.write('ss": 2.0}\n')
    assert same() == 4
    metrics.write_text(json.dumps({"step": 0, "loss": 5.0}) + "\n")
    assert same() == 1
    metrics.write_text('{"step": 0, "loss": 5.0}\n{"step": 1, "lo')
    assert len(Follower().record(tmp_path).metrics) == 1
    fresh = Follower()
    fresh.record(tmp_path)
    with metrics.open("a") as file:
        file.write('ss": 2.0}\n')
    assert fresh.record(tmp_path) == read_run(tmp_path), "half a line that was there at the first look"
    metrics.write_text(json.dumps({"step": 0, "loss": 5.0}) + "\n")
    assert same() == 1
    with metrics.open("a") as file:
        file.write(json.dumps({"step": 0, "loss": 6.0}) + "\n")
    assert follower.record(tmp_path).metrics[0]["loss"] == 6.0, "a resumed run wrote the step again"
    (tmp_path / "recipe.yaml").write_text("steps: 10\n")
    assert follower.record(tmp_path).setting("steps") == 10
