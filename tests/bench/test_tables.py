"""What the tables print, and the page."""

from __future__ import annotations

import re

from tests.bench.hand_made import DOMAINS, result
from understudy.bench.charts import FIGURES, charts_of, in_groups
from understudy.bench.page import Page, render
from understudy.bench.rows import Verdict, row_of
from understudy.bench.tables import accuracy_table, aligned, cost_table, markdown, measure_table, verdict_table
from understudy.evaluation.statistics import Estimate

START = [result("start", seed, (0, 0, 0, 1), rate=None) for seed in range(2)]
ROWS = [
    row_of(START, (), DOMAINS),
    row_of([result("opd", seed, (1, 1, 0, 1)) for seed in range(2)], START, DOMAINS),
    row_of([result("grpo", 0, (), diverged="not finite")], START, DOMAINS, note="no stored rate"),
]


def test_accuracies_with_their_gain_over_the_start() -> None:
    heading, start, opd, grpo = accuracy_table(ROWS, DOMAINS[0])
    assert heading == ["", "learning rate", "greedy", "greedy, gain", "T=1", "T=1, gain"]
    assert start[:2] == ["start", "-"] and start[4].startswith("25.0 [") and start[5] == "-"
    assert opd[1] == "0.001" and opd[4:] == ["75.0 [75.0, 75.0]", "+50.0 [+50.0, +50.0]"]
    assert accuracy_table(ROWS, DOMAINS[1])[2][4:] == ["50.0 [50.0, 50.0]", "+0.0 [+0.0, +0.0]"]
    assert grpo == ["grpo", "0.001", "-", "-", "-", "-"]


def test_measures_and_notes() -> None:
    heading, start, opd, grpo = measure_table(ROWS)
    assert dict(zip(heading, opd, strict=True)) == {
        "": "opd",
        "reverse KL": "1.000",
        "entropy": "0.250",
        "gradient norm": "3.000",
        "length": "10.0",
        "seconds": "6.0",
        "seeds": "2",
        "note": "",
    }
    assert start[3] == start[5] == "-"
    assert grpo[-1] == "diverged with seed 0; no stored rate"


def test_costs_have_the_phases_that_take_time_and_the_reference() -> None:
    table = cost_table(ROWS)
    assert table == [["seconds a step", "sample", "update", "reference, parameters"], ["opd", "0.100", "0.200", "0"]]


def test_the_verdict_says_yes_or_no() -> None:
    modes = {"greedy": Estimate(0, -0.1, 0.1, 3), "sampled": Estimate(0.1, 0.05, 0.15, 3)}
    margins = {"products": modes, "order": modes}
    table = verdict_table([Verdict("gopd-1.25", margins, {"greedy": False, "sampled": True})], DOMAINS)
    assert table[1] == [
        "gopd-1.25",
        *["+0.0 [-10.0, +10.0]", "+10.0 [+5.0, +15.0]"] * 2,
        "greedy: no, T=1: yes",
    ]


def test_alignment_and_markdown_keep_every_cell() -> None:
    table = accuracy_table(ROWS, DOMAINS[0])
    lines = aligned(table).splitlines()
    assert len(lines) == 4 and lines[2].startswith("opd ")
    shown = markdown(table).splitlines()
    assert shown[1] == "|" + "---|" * 6 and shown[3].count("|") == 7


def test_curves_are_means_over_seeds_and_at_most_eight_share_a_chart() -> None:
    runs = {f"m{n}": [result(f"m{n}", seed, (1,), (1,), norms=(n, n + seed)) for seed in range(2)] for n in range(9)}
    runs["bad"] = [result("bad", 0, (), diverged="x")]
    charts = charts_of(runs)
    norms = [chart for chart in charts if chart.title.startswith("Gradient norm")]
    assert [len(chart.series) for chart in norms] == [5, 4]
    assert norms[0].title == "Gradient norm (1 of 2)" and norms[0].steps == (0.0, 1.0)
    assert norms[0].series[3].label == "m3" and norms[0].series[3].values == (3.0, 3.5)
    entropy = next(chart for chart in charts if chart.title.startswith("Entropy"))
    assert entropy.steps == (0.0, 2.0) and entropy.series[0].values == (1.0, 1.0)
    assert len(charts) == 2 * (len(FIGURES) - 1)  # nobody chose tokens in training
    assert in_groups([], most=8) == []


def test_the_page_is_one_file_that_escapes_and_fetches_nothing() -> None:
    page = Page(
        title="a <b> & c",
        lead="It compares.",
        facts={"seeds": "2"},
        tables={"Accuracy": accuracy_table(ROWS, DOMAINS[0])},
        charts=charts_of({"opd": [result("opd", 0, (1,), (1,))]}),
        notes=["Intervals are over seeds."],
    )
    text = render(page)
    assert "a &lt;b&gt; &amp; c" in text and "<svg" in text
    assert "<td>75.0 [75.0, 75.0]</td><td>+50.0 [+50.0, +50.0]</td>" in text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert text == render(page)
