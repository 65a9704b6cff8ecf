"""Forest plots: every dot and bar where its figures put it."""

from __future__ import annotations

import math
import re

from understudy.reports.charts import Rule
from understudy.reports.forest import LEFT, RIGHT, WIDTH, Forest, ForestRow, Point, draw_forest


def test_dots_bars_and_rules_lie_on_one_scale() -> None:
    row = ForestRow("aime25", "40 %", (Point(0.4, 0.2, 0.6),))
    svg = draw_forest(Forest("Gains", (row,), rules=(Rule("none", 0.0), Rule("margin", 1.0))))

    def across(value: float) -> str:
        return f"{LEFT + value * (WIDTH - LEFT - RIGHT):.1f}"

    assert f'cx="{across(0.4)}"' in svg
    assert re.search(rf'class="interval s0" x1="{across(0.2)}" x2="{across(0.6)}"', svg)
    assert re.search(rf'class="base" x1="{across(0.0)}"', svg) and re.search(rf'class="rule" x1="{across(1.0)}"', svg)


def test_an_interval_without_a_bound_ends_at_the_edge() -> None:
    rows = (ForestRow("one", "", (Point(0.5, -math.inf, math.inf),)), ForestRow("two", "", (Point(0.0, 0.0, 1.0),)))
    svg = draw_forest(Forest("", rows))
    assert f'x1="{LEFT}.0" x2="{WIDTH - RIGHT}.0"' in svg
    assert "inf" not in svg and "nan" not in svg


def test_names_are_escaped() -> None:
    svg = draw_forest(Forest("<b>", (ForestRow("<script>", "<i>", (Point(0.5, 0.4, 0.6),)),)))
    assert "<script>" not in svg and "<i>" not in svg and "<b>" not in svg
