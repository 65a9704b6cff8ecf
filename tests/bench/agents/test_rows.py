"""Rows of agents by hand: final and best checkpoint apart, pairs by seed, sorts of task."""

from __future__ import annotations

from tests.bench.agents.hand_made import run, start
from understudy.bench.agents.rows import row_of
from understudy.bench.agents.tables import conduct_table, kinds_table, ratio_table, success_table

STARTS = [start(0, (1, 0, 0, 0)), start(1, (0, 0, 0, 0))]
KINDS = ("heat", "heat", "place", "place")
RUNS = [run("atod", 0, (1, 1, 0, 0), ratio=(4.0, 1.5, 0.5)), run("atod", 1, (1, 1, 1, 0), ratio=(3.0, 0.9, None))]
OTHERS = {"opd": [run("opd", 0, (1, 0, 0, 0)), run("opd", 1, (1, 0, 1, 0))]}


def test_a_row_tells_the_last_weights_apart_from_the_best_checkpoint() -> None:
    row = row_of(RUNS, STARTS, others=OTHERS, kinds=KINDS)
    assert row.final is not None and row.final.over_seeds.mean == 0.625
    assert row.final.gain_over_seeds is not None and row.final.gain_over_seeds.mean == 0.5
    assert row.best is not None and row.best.over_seeds.mean == 1.0 and row.best_steps == (4, 4)
    assert row.mean(lambda one: one.length).mean == 4.0  # type: ignore[union-attr]
    assert row.mean(lambda one: one.length, best=True).mean == 2.0  # type: ignore[union-attr]
    assert row.against["opd"].mean == 0.25 and row.against["opd"].low == 0.25
    assert row.kinds["heat"].mean == 1.0 and row.kinds["place"].mean == 0.25
    written = row.to_json()
    assert written["crossings"] == [[4, 8], [0, 4]] and written["best_steps"] == [4, 4]


def test_against_one_who_diverged_with_every_seed_nothing_is_said() -> None:
    gone = [run("grpo", seed, (1, 0, 0, 0)).model_copy(update={"final": None, "diverged": "loss"}) for seed in (0, 1)]
    row = row_of(RUNS, STARTS, others={"grpo": gone, **OTHERS}, kinds=KINDS)
    assert set(row.against) == {"opd"} and row.to_json()["against"].keys() == {"opd"}  # type: ignore[attr-defined]


def test_the_tables_of_a_row() -> None:
    rows = [row_of(STARTS, (), others={}, kinds=KINDS), row_of(RUNS, STARTS, others=OTHERS, kinds=KINDS)]
    success = success_table(rows)
    assert success[1][3].startswith("12.5 [") and success[1][2] == "-"
    assert success[2][:2] == ["atod", "0.001"] and success[2][-1] == "4, 4"
    assert conduct_table(rows)[2][2] == "25.0 [25.0, 25.0]"  # one invalid turn of four
    assert kinds_table(rows)[0] == ["", "heat", "place"]
    ratios = ratio_table(rows)
    assert ratios[0] == ["step", "0", "4", "8", "crosses one between"]
    assert ratios[1] == ["atod", "3.50", "1.20", "0.50", "4-8, 0-4"]
