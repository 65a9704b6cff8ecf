"""Blind comparisons over real sockets: orders alternate, names are hidden, order effects are measured."""

from __future__ import annotations

import json
import math

import pytest

from tests.evaluation.grading.panels import office_folder, panel_of, says
from tests.servers.scripted import Asked, Reply
from understudy.errors import DataError
from understudy.evaluation.grading.pairwise import compare_pairwise

NAMES = [f"t{number}" for number in range(8)]


def sides(asked: Asked) -> tuple[str, str]:
    """The texts shown as X and as Y."""
    x, y = asked.body["messages"][1]["content"].split("\n\nX:\n\n")[1].split("\n\nY:\n\n")
    return x, y


def prefers(word: str, better: str | None = None):
    """A grader that prefers the side with the word in it, else what ``better`` says."""

    def answer(asked: Asked) -> Reply:
        x, y = sides(asked)
        found = better or ("tie" if (word in x) == (word in y) else "X" if word in x else "Y")
        return says(json.dumps({"reason": f"has {word}", "better": found}))

    return answer


def two_runs(tmp_path, good_of_a=6):
    a = {name: {"r.md": "good" if number < good_of_a else "poor"} for number, name in enumerate(NAMES)}
    b = {name: {"r.md": "poor" if number < good_of_a else "good"} for number, name in enumerate(NAMES)}
    return office_folder(tmp_path / "alpha", a), office_folder(tmp_path / "beta", b)


def test_the_better_work_wins_whatever_the_order_and_nobody_learns_whose_it_is(tmp_path):
    a, b = two_runs(tmp_path)
    with panel_of(*[prefers("good")] * 3) as (panel, servers):
        report = compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert {key: report["majority"][key] for key in ("wins", "ties", "losses")} == {"wins": 6, "ties": 0, "losses": 2}
    # 18 wins to 6, half a win of prior each: log(18.5 / 6.5).
    assert report["bradley_terry"]["log_odds"] == pytest.approx(math.log(18.5 / 6.5), abs=1e-6)
    low, high = (report["bradley_terry"][f"log_odds_{end}"] for end in ("low", "high"))
    assert low < math.log(18.5 / 6.5) < high
    assert report["position"]["first_preferred"]["mean"] == pytest.approx(0.5)
    assert report["kappa"] == 1.0
    for server in servers:
        assert sum("good" in sides(asked)[0] for asked in server.asked) == 4  # each order half of the time
        said = json.dumps([asked.body for asked in server.asked])
        assert "alpha" not in said and "beta" not in said


def test_a_grader_that_takes_whatever_comes_first_is_found_out(tmp_path):
    a, b = two_runs(tmp_path)
    with panel_of(*[prefers("", better="X")] * 3) as (panel, _):
        report = compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert report["position"]["first_preferred"]["mean"] == 1.0
    assert report["position"]["first_preferred"]["low"] > 0.8
    assert report["bradley_terry"]["log_odds"] == pytest.approx(0.0, abs=1e-6)


def test_asked_in_both_orders_it_contradicts_itself_and_has_no_vote(tmp_path):
    a, b = two_runs(tmp_path)
    with panel_of(prefers("", better="X"), prefers("good"), prefers("good"), ask_twice=True) as (panel, servers):
        report = compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert len(servers[0].asked) == 16
    assert report["graders"][0]["ungraded"] == {"contradicts itself": 8}
    assert report["graders"][0]["position"]["changed_with_order"] == {"first": 8, "second": 0}
    assert report["majority"]["wins"] == 6 and report["num_ungraded"] == 0


def test_ties_nonsense_and_disagreement(tmp_path):
    a, b = two_runs(tmp_path)
    with panel_of(prefers("good"), prefers("nothing"), lambda asked: says("both are nice")) as (panel, _):
        report = compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert report["graders"][1]["preferred"] == {"a": 0, "tie": 8, "b": 0}
    assert report["graders"][2]["ungraded"] == {"unreadable": 8}
    assert report["num_ungraded"] == 8 and report["majority"] is None  # one for a side, one for a tie
    assert report["bradley_terry"]["log_odds"] == pytest.approx(math.log((6 + 4 + 0.5) / (2 + 4 + 0.5)), abs=1e-6)
    assert report["kappa"] is None


def test_who_hands_nothing_in_loses_without_asking_and_tasks_of_one_run_are_named(tmp_path):
    a = office_folder(tmp_path / "a", {"t1": {"r.md": "x"}, "t2": {}, "t3": {}, "t5": {"r.md": "x"}})
    b = office_folder(tmp_path / "b", {"t1": {}, "t2": {}, "t3": {"r.md": "x"}, "t4": {}})
    with panel_of(*[prefers("good")] * 3) as (panel, servers):
        report = compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert [(task["task_id"], task["won"]) for task in report["tasks"]] == [("t1", 1.0), ("t2", 0.5), ("t3", 0.0)]
    assert report["tasks_of_one_run_only"] == ["t5", "t4"]
    assert not any(server.asked for server in servers)


def test_a_second_run_asks_nothing_again(tmp_path):
    a, b = two_runs(tmp_path)
    with panel_of(*[prefers("good")] * 3) as (panel, servers):
        first = compare_pairwise(a, b, panel, out=tmp_path / "out")
        asked = [len(server.asked) for server in servers]
        again = compare_pairwise(a, b, panel, out=tmp_path / "out")
        assert [len(server.asked) for server in servers] == asked == [8, 8, 8]
    assert again["bradley_terry"] == first["bradley_terry"] and again["majority"] == first["majority"]


@pytest.mark.parametrize(
    ("field", "value"), [("won", "A"), ("won", 3.0), ("why", ["seen"]), ("reason", "moon"), ("input_tokens", "many")]
)
def test_a_kept_preference_that_is_none_is_asked_for_again(tmp_path, field, value):
    a, b = two_runs(tmp_path)
    with panel_of(prefers("good")) as (panel, servers):
        report = compare_pairwise(a, b, panel, out=tmp_path / "out")
        kept = tmp_path / "out" / "pairwise" / "one" / "t0.json"
        record = json.loads(kept.read_text())
        kept.write_text(json.dumps({**record, "preference": {**record["preference"], field: value}}))
        again = compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert len(servers[0].asked) == 8 + 1
    assert again["tasks"] == report["tasks"]


def test_a_kept_preference_nested_too_deep_is_asked_for_again(tmp_path):
    a, b = two_runs(tmp_path)
    with panel_of(prefers("good")) as (panel, servers):
        compare_pairwise(a, b, panel, out=tmp_path / "out")
        (tmp_path / "out" / "pairwise" / "one" / "t0.json").write_text("[" * 100_000)
        compare_pairwise(a, b, panel, out=tmp_path / "out")
    assert len(servers[0].asked) == 8 + 1


def test_runs_without_a_common_task_are_the_users_mistake(tmp_path):
    a, b = office_folder(tmp_path / "a", {"t1": {}}), office_folder(tmp_path / "b", {"t2": {}})
    with panel_of(prefers("good")) as (panel, _), pytest.raises(DataError, match="share no task"):
        compare_pairwise(a, b, panel, out=tmp_path / "out")
