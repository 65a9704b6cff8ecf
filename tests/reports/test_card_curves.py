"""The picture of a run's curves beside its weights: what they have seen and no more, whole by itself, text as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.reports.hand_made import SCRIPT
from understudy.reports.card_curves import curves_of
from understudy.reports.reading import Line, RunRecord

_SVG = "{http://www.w3.org/2000/svg}"


def run_of(metrics: Sequence[Line], evaluations: Sequence[Line] = (), name: str = "first") -> RunRecord:
    return RunRecord(Path("runs/x"), {"name": name}, "", {}, tuple(metrics), tuple(evaluations), None, ())


def texts_of(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{_SVG}text")]


def titles_of(svg: str) -> list[str]:
    found = ElementTree.fromstring(svg).iter(f"{_SVG}text")
    return ["".join(text.itertext()) for text in found if text.get("class") == "title"]


def metrics(steps: int, **more: float) -> list[Line]:
    return [
        {"step": float(step), "kl/reverse_k1": 2.0 - step / 10, "loss": float(step), **more} for step in range(steps)
    ]


def evaluations(*steps: int, suite: str = "words") -> list[Line]:
    return [
        {"step": s, f"eval/{suite}/mean": s / 10, f"eval/{suite}/low": s / 20, f"eval/{suite}/high": s / 9}
        for s in steps
    ]


def test_figures_of_later_steps_are_left_out() -> None:
    run = run_of(metrics(9), evaluations(0, 4, 8))
    assert "k1 1.70" in texts_of(curves_of(run, 4)), "four steps were done, the last is number 3"
    assert "student 40.0\xa0%" in texts_of(curves_of(run, 4))
    assert "k1 1.20" in texts_of(curves_of(run, 9))
    assert "student 80.0\xa0%" in texts_of(curves_of(run, 9))


def test_suites_come_first_and_there_is_room_for_four() -> None:
    lines = metrics(5, reward=0.5, accuracy=0.5, entropy=1.0)
    assert titles_of(curves_of(run_of(lines, evaluations(0, 5)), 5)) == [
        "Evaluation: words",
        "Teacher reverse KL",
        "Reward",
        "Accuracy",
    ]


def test_one_point_is_no_curve() -> None:
    assert curves_of(run_of(metrics(1), evaluations(0)), 1) == ""
    assert curves_of(run_of([]), 5) == ""


def test_names_stay_text_and_nothing_is_fetched() -> None:
    svg = curves_of(run_of(metrics(3), evaluations(0, 3, suite=SCRIPT + "&\x07"), name=SCRIPT), 3)
    tree = ElementTree.fromstring(svg)
    kinds = {node.tag.removeprefix(_SVG) for node in tree.iter()}
    assert kinds <= {"svg", "title", "style", "rect", "g", "text", "tspan", "line", "polyline", "circle"}
    assert any(SCRIPT in text for text in texts_of(svg))
    assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
