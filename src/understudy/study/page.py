"""The page of a study: what was found, put into what a page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from understudy.comparing import Comparison
from understudy.comparing.office_results import OfficeTask, read_office
from understudy.environments.tiny_office import MAX_TURNS, Document, errand_of
from understudy.environments.tiny_office.files import read_file, table_of
from understudy.evaluation.statistics import Estimate, Paired
from understudy.reports.curves import ChartPlan, chart_of
from understudy.reports.outcome import Suite, suites_in
from understudy.reports.reading import RunRecord, read_run
from understudy.reports.study_page import Attempt, Cell, Paper, SideBySide, StudyPage, render_study
from understudy.reports.templating import write_page as write_html
from understudy.study.attempts import TRANSCRIPT
from understudy.study.figures import EFFICIENCY, Figures
from understudy.study.settings import StudySettings, study_tasks

CURVES = (
    ChartPlan("Teacher reverse KL", "k1, nats per token", {"kl/reverse_k1": "k1"}),
    ChartPlan("Entropy", "nats per token", {"entropy": "student", "entropy/sampled": "student, from its own tokens"}),
    ChartPlan(
        EFFICIENCY,
        "share of rollouts",
        {"office/efficiency_rate": f"a file within {MAX_TURNS // 2} turns"},
        form="share",
    ),
    ChartPlan(
        "Any-deliverable rate", "share of rollouts", {"office/any_deliverable_rate": "handed in a file"}, form="share"
    ),
)
"""The four of the office study that this one repeats."""
SIDE_BY_SIDE = "side-by-side.html"
"""The page of all errands, beside this one."""
SHOWN = (("win", 3), ("tie", 1), ("loss", 2))
_ROLES = {"teacher": "teacher", "base": "before", "distilled": "after"}


def write_page(out: Path, settings: StudySettings, figures: Figures, path: Path) -> None:
    """Write the page of a study whose stages are done; ``out`` is its folder."""
    run = read_run(out / "run")
    page = StudyPage(
        title="Office work, before and after distillation",
        facts=_facts(run, settings),
        charts=tuple(chart for plan in CURVES if (chart := chart_of(plan, run.metrics)) is not None),
        suites=_suites(figures.measures, figures.paired, settings),
        counts=_counts(figures),
        findings=_findings(figures),
        regression=_suites(figures.quizzes, {c.suite: c.paired for c in figures.regression.contests}, settings),
        statements=_statements(figures.regression),
        pairs=tuple(_pairs(out, settings, figures.office)),
        chosen=_CHOSEN,
        all_pairs=SIDE_BY_SIDE,
    )
    write_html(render_study(page), path, remedy="Make room, then go on with the same command.")


_CHOSEN = (
    "The first three errands on which the distilled student does better, the first tie and the first two losses, as far"
    " as there are such; none was chosen by hand."
)


def _facts(run: RunRecord, settings: StudySettings) -> dict[str, str]:
    return {
        "Student": str(run.setting("student", "model")),
        "Teacher": ", ".join(run.teachers),
        "Method": settings.method,
        "Steps": f"{settings.steps}, each 64 rollouts",
        "Unseen errands": str(settings.num_tasks),
        "Temperature": f"{settings.temperature:g}",
        "Seed": str(settings.seed),
    }


def _suites(
    measures: Mapping[str, Mapping[str, Estimate]], paired: Mapping[str, Paired], settings: StudySettings
) -> tuple[Suite, ...]:
    content = {
        title: {
            "better": "higher",
            **{_ROLES[name]: one.to_json() for name, one in each.items()},
            "paired": paired[title].to_json(),
        }
        for title, each in measures.items()
    }
    return suites_in(content, method=settings.method)


def _counts(figures: Figures) -> tuple[tuple[str, ...], ...]:
    heading = ("", "Teacher", "Student before", "Student after")
    rows = [(title, *(str(each[name]) for name in _ROLES)) for title, each in figures.counts.items()]
    return (heading, *rows)


def _findings(figures: Figures) -> tuple[str, ...]:
    difference = figures.office.contests[0].difference
    apart = "do not touch" if figures.improved else "touch"
    return (
        f"Mean rubric score, distilled minus base: {100 * difference.mean:+.1f} points "
        f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}] ({difference.interval}); "
        f"the intervals of the two scores {apart}.",
        f"An attempt is counted as efficient where it ends with a deliverable within {MAX_TURNS // 2} of its "
        f"{MAX_TURNS} turns. This is our reading: the rate has no published definition.",
    )


def _statements(comparison: Comparison) -> tuple[str, ...]:
    each = [f"{one.suite}: {one.equivalence.statement}" for one in comparison.contests if one.equivalence is not None]
    verdict = "support" if comparison.no_loss_anywhere else "do not support"
    margin = comparison.terms.margin
    return (*each, f'On all three at once, the data {verdict} "no loss larger than {margin:g}".')


def _pairs(out: Path, settings: StudySettings, comparison: Comparison) -> list[SideBySide]:
    contest, results = comparison.contests[0], {name: read_office(out / name) for name in ("base", "distilled")}
    by_verdict: dict[str, list[str]] = {verdict: [] for verdict, _ in SHOWN}
    for problem in contest.pairs.problems:
        by_verdict[contest.outcome(problem)].append(problem)
    sources = {task.problem: errand_of(task) for task in study_tasks(settings)}
    chosen = chain.from_iterable(by_verdict[verdict][:count] for verdict, count in SHOWN)
    found = []
    for problem in chosen:
        base, distilled = (
            _attempt(out / name, results[name].by_id[problem], who)
            for name, who in (("base", "Student before"), ("distilled", "Student after"))
        )
        prompt = results["base"].by_id[problem].prompt
        source = _paper(f"{sources[problem].wish.source}.xlsx", sources[problem].document)
        found.append(SideBySide(problem, prompt, source, (base, distilled), contest.outcome(problem)))
    return found


def _attempt(folder: Path, task: OfficeTask, who: str) -> Attempt:
    turns: Sequence[Mapping[str, str]] = json.loads((folder / task.task_id / TRANSCRIPT).read_text(encoding="utf-8"))
    return Attempt(
        who=who,
        score="ungraded" if task.score is None else f"{100 * task.score:.0f} %",
        papers=tuple(_paper(Path(name).name, read_file(folder / name)) for name in task.deliverables),
        rubric=tuple((line.criterion, line.met) for line in task.rubric),
        said=tuple((turn["seen"].partition(" task ")[0], turn["said"]) for turn in turns),
    )


def _paper(name: str, document: Document) -> Paper:
    return Paper(name, tuple(tuple(Cell(text, marked) for text, marked in row) for row in table_of(document)))
