"""Drawings by hand-computed places."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from understudy.reports.charts import Chart, Rule, Series, thinned
from understudy.reports.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw
from understudy.reports.scales import round_step, ticks

FLOOR, CEILING = HEIGHT - BOTTOM, TOP
MIDDLE = (FLOOR + CEILING) / 2


def shapes(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(str(draw(chart)))


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in element.attrib["points"].split())]


def test_a_curve_reaches_the_corners_of_its_frame() -> None:
    (line,) = shapes(Chart("t", "", (0, 1, 2), (Series("a", (0.0, 1.0, 2.0)),))).iter("polyline")
    assert points(line) == [(LEFT, FLOOR), ((LEFT + WIDTH - RIGHT) / 2, MIDDLE), (WIDTH - RIGHT, CEILING)]


def test_a_gap_is_never_bridged() -> None:
    chart = Chart("t", "", (0, 1, 2, 3, 4), (Series("a", (0.0, 1.0, None, 1.0, 2.0)),))
    first, second = shapes(chart).iter("polyline")
    assert len(points(first)) == len(points(second)) == 2
    assert points(first)[-1][0] < points(second)[0][0]


def test_figures_along_the_axis_have_room_however_long() -> None:
    for value in (5e-7, -0.0125, 250_000.0, 1e30):
        drawing = shapes(Chart("Learning rate", "", (0, 1), (Series("a", (value, value)),)))
        (line,) = drawing.iter("polyline")
        for text in (one for one in drawing.iter("text") if one.attrib["class"] == "up"):
            assert text.text is not None and float(text.attrib["x"]) >= 7 * len(text.text)
            assert float(text.attrib["x"]) < points(line)[0][0]


def test_the_last_step_is_not_cut_off() -> None:
    drawing = shapes(Chart("t", "", (100, 600), (Series("a", (1.0, 2.0)),)))
    (last,) = [text for text in drawing.iter("text") if text.text == "600"]
    assert float(last.attrib["x"]) <= WIDTH - 3 * 7 / 2


def test_areas_stand_on_each_other() -> None:
    chart = Chart("t", "", (0, 1), (Series("a", (1.0, 1.0)), Series("b", (1.0, 1.0))), stacked=True)
    lower, upper = shapes(chart).iter("polygon")
    assert {y for _, y in points(lower)} == {FLOOR, MIDDLE}
    assert {y for _, y in points(upper)} == {MIDDLE, CEILING}


def test_one_step_is_seen() -> None:
    assert list(shapes(Chart("t", "", (7,), (Series("a", (3.0,)),))).iter("circle"))
    (area,) = shapes(Chart("t", "", (7,), (Series("a", (3.0,)),), stacked=True)).iter("polygon")
    assert len({x for x, _ in points(area)}) == 2


def test_what_is_equal_everywhere_is_drawn_inside() -> None:
    for value in (0.0, -2.0, 1e-9, 5e8):
        chart = Chart("t", "", (0, 1), (Series("a", (value, value)),), with_zero=False)
        (line,) = shapes(chart).iter("polyline")
        assert all(CEILING <= y <= FLOOR for _, y in points(line))


def test_values_whose_difference_is_no_number_are_drawn() -> None:
    drawn = str(draw(Chart("", "", (0.0, 1.0), (Series("loss", (1.7e308, -1.7e308)),))))
    assert "polyline" in drawn and "nan" not in drawn and "inf" not in drawn.replace("info", "")


def test_rules_and_intervals_are_within_the_axis() -> None:
    series = Series("a", (0.4, 0.5), 0, (0.3, 0.4), (0.5, 0.6))
    drawing = shapes(Chart("t", "", (0, 1), (series,), form="share", rules=(Rule("<teacher>", 0.9),)))
    heights = [float(line.attrib[end]) for line in drawing.iter("line") for end in ("y1", "y2")]
    assert all(CEILING <= height <= FLOOR for height in heights)
    assert "<teacher>" in [text.text for text in drawing.iter("text")]


def test_a_rule_is_named_where_no_curve_runs_through_its_name() -> None:
    for values, place in (((0.0, 1.0), "left"), ((1.0, 0.0), "right"), ((0.5, 0.5), "right")):
        drawing = shapes(Chart("t", "", (0, 1), (Series("a", values),), form="share", rules=(Rule("teacher", 1.0),)))
        (name,) = [text for text in drawing.iter("text") if text.text == "teacher"]
        assert (float(name.attrib["x"]) < 100) == ("left" in name.attrib["class"]) == (place == "left")


def test_what_the_pointer_reads_is_what_was_measured() -> None:
    drawing = shapes(Chart("t", "", (3, 4), (Series("a", (0.25, None)),), form="share"))
    data = json.loads(drawing.attrib["data-chart"])
    assert data["steps"] == [3, 4]
    assert data["values"] == [[0.25, None]]
    assert data["written"] == [["25.0\N{NO-BREAK SPACE}%", "–"]]


def test_long_runs_are_thinned_and_keep_their_extremes() -> None:
    steps = tuple(map(float, range(10_000)))
    values = tuple(-5.0 if step == 1234 else 7.0 if step == 4321 else None if step == 9 else 0.0 for step in steps)
    less = thinned(Chart("t", "", steps, (Series("a", values), Series("b", values[::-1]))), limit=800)
    assert len(less.steps) <= 800
    assert {1234.0, 4321.0, 0.0, 9999.0} <= set(less.steps)
    assert "10,000" in less.note


@pytest.mark.parametrize("span", [1e-7, 0.03, 1.0, 7.3, 99.0, 1e6])
def test_ticks_are_few_and_within(span: float) -> None:
    marks = ticks(0, span)
    assert 2 <= len(marks) <= 6
    assert all(-1e-12 <= mark <= span * (1 + 1e-9) for mark in marks)
    assert round_step(span, target=4) * 4 >= span * (1 - 1e-9)
