"""The demo's recipes, and its table; the demo itself is run by `make demo`."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.demo import MARK, _make_room, demo_recipe, table_rows
from understudy.errors import RunDirectoryError
from understudy.recipe import load_recipe
from understudy.training.progress import Silent

ROOT = Path(__file__).parent.parent


def test_the_demo_is_the_testbed_s_recipe() -> None:
    recipe = load_recipe(ROOT / "recipes" / "testbed-opd.yaml")
    ours = demo_recipe("opd", name="testbed-opd", output="runs")
    shown = recipe.rollout.model_copy(update={"show_every": ours.rollout.show_every})
    own = {"checkpoint": ours.checkpoint, "rollout": shown, "reference": None}
    assert ours == recipe.model_copy(update=own)


def test_the_methods_of_the_demo_get_equally_many_sequences_and_steps() -> None:
    recipes = [demo_recipe(method, name="x", output="runs") for method in ("opd", "seq_kd", "sft")]
    budgets = {(r.steps, r.rollout.prompts_per_step * r.rollout.num_generations) for r in recipes}
    assert budgets == {(40, 128)}
    assert {r.optimizer for r in recipes} == {recipes[0].optimizer}


def test_an_earlier_demo_is_moved_aside_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "demo"
    for _ in range(2):
        out.mkdir(parents=True)
        (out / MARK).write_text("{}")
        _make_room(out, Silent())
        assert not out.exists()
    assert sorted(path.name for path in out.parent.iterdir()) == ["demo-1", "demo-2"]
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match="no demo"):
        _make_room(out, Silent())
    assert (out / "thesis.txt").read_text() == "mine"


def test_the_table_shows_shares_margins_and_baselines() -> None:
    estimate = {"mean": 0.25, "low": 0.2, "high": 0.3, "n": 500}
    paired = {"wins": 9, "ties": 3, "losses": 1, "margin": 0.5, "margin_low": 0.4, "margin_high": 0.6, "p_value": 1e-9}
    suite = {"better": "higher", "teacher": estimate, "before": estimate, "after": estimate, "paired": paired}
    rows = table_rows(
        {"suites": {"multiplication-greedy": suite}, "baselines": {"sft": {"multiplication-greedy": suite}}}
    )
    assert rows[0] == ("", "greedy")
    assert ("teacher", "25.0 % [20.0, 30.0]") in rows
    assert ("  gain over before", "+50.0 % [+40.0, +60.0], p = 1e-09") in rows
    assert ("  wins / ties / losses", "9 / 3 / 1") in rows
    assert rows[-1] == ("student after sft", "25.0 % [20.0, 30.0]")
