"""A sample of every page that the program writes or serves, from the hand-made runs and results of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.hand_made import result
from tests.comparing.page.two_desks import two_desks
from tests.comparing.test_regression import two_runs
from tests.reports.agent_run import make_agent_run
from tests.reports.hand_made import HOSTILE, make_run

from benchmarks.pages import Sample, watching
from understudy.bench.charts import charts_of
from understudy.bench.page import Page, write_page
from understudy.comparing import Terms, compare_results, regression
from understudy.comparing.page import render_regression, write_comparison_page
from understudy.launching.page import page_of
from understudy.launching.snapshot import PartNow, RunNow, Snapshot
from understudy.reports import write_report
from understudy.reports.curves import charts_of as curves_of
from understudy.reports.outcome import suites_of
from understudy.reports.reading import read_run
from understudy.reports.study_page import Attempt, Cell, Paper, SideBySide, StudyPage, render_study
from understudy.watching.finding import key_of


@contextmanager
def samples(place: Path) -> Iterator[list[Sample]]:
    """Every page, static ones as files in ``place``, those of the watcher while the block lasts."""
    runs = place / "runs"
    report = write_report(make_run(runs / "one"))
    agents = write_report(make_agent_run(runs / "agents"))
    desks = compare_results(*two_desks(place / "desks"), Terms())
    files = {
        "run report": report,
        "report of agents": agents,
        "methods": methods_page(runs / "bench" / "report.html"),
        "side by side": write_comparison_page(desks, place / "against-other.html"),
        "regression": regression_page(place),
        "health": health_page(place / "health.html"),
        "office study": study_page(place / "study.html", report.parent),
    }
    key = key_of(runs / "one")
    with watching(runs) as address:
        served = {
            "watch: runs": "/",
            "watch: curves": "/compare?smooth=0.5",
            "watch: microscope": f"/runs/{key}/rollouts?step=10&sort=reward",
            "watch: report": f"/runs/{key}/",
            "watch: methods": f"/pages/{key_of(files['methods'])}",
            "watch: nothing there": "/runs/0/",
        }
        yield [
            *(Sample(name, file.as_uri()) for name, file in files.items()),
            *(Sample(name, address + path) for name, path in served.items()),
        ]


def methods_page(file: Path) -> Path:
    """The page of a comparison of methods, two curves a chart."""
    results = {label: [result(label, seed, (1, 0, 1, 1)) for seed in range(2)] for label in ("opd", "tropd")}
    rows = [["method", "accuracy", "95 % interval"], ["opd", "0.75", "0.50 to 0.90"], ["tropd", "0.75", "0.50 to 0.90"]]
    page = Page(
        title="Methods, matched",
        lead="The same start, data and budget.",
        facts={"Seeds": "2", "Steps": "2"},
        tables={"Trained on": rows, HOSTILE[:60]: rows},
        charts=charts_of(results),
        notes=("One run diverged.",),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_page(page, file)
    return file


def health_page(file: Path) -> Path:
    """The page of a launch, one part running and one that failed."""
    parts = [
        PartNow(
            "teacher-0", "teacher", "running", 17, 0, 65.0, "http://127.0.0.1:9", True, {"waiting": 3}, (), None, ""
        ),
        PartNow("sampler-0", "sampler", "failed", None, 2, 5.0, None, None, {}, (), 3, HOSTILE[:200]),
    ]
    run = RunNow("runs/one", 3, 10, 42.0, {"loss": 0.5})
    file.write_text(page_of(Snapshot(0.0, run, parts)), encoding="utf-8")
    return file


def regression_page(place: Path) -> Path:
    """The page that says what was lost elsewhere."""
    file = place / "regression.html"
    file.write_text(render_regression(regression(*two_runs(place / "two"), Terms(margin=0.02))), encoding="utf-8")
    return file


def study_page(file: Path, run: Path) -> Path:
    """The page of an office study, with the scores and curves of the hand-made run."""
    record = read_run(run)
    paper = Paper("report.csv", ((Cell("name"), Cell("price")), (Cell("cup"), Cell("7", marked=True))))
    rubric: tuple[tuple[str, bool | None], ...] = (("names the dearest thing", True), ("is signed", False))
    attempts = tuple(
        Attempt(who, "0.5", (paper,), rubric, (("a desk", "copy the report"), ("a report", HOSTILE[:40])))
        for who in ("base", "distilled")
    )
    page = StudyPage(
        title="A study",
        facts={"Errands": "20"},
        charts=curves_of(record),
        suites=suites_of(record),
        counts=(("what", "base", "distilled"), ("files", "1", "2")),
        findings=("The distilled model hands in more.",),
        regression=suites_of(record),
        statements=("No loss larger than 5 points is shown.",),
        pairs=(SideBySide("mark the dearest", "Mark it.", paper, attempts, "win"),),  # type: ignore[arg-type]
        chosen="Chosen by rule.",
        all_pairs="side-by-side.html",
    )
    file.write_text(render_study(page), encoding="utf-8")
    return file
