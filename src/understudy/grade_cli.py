"""``understudy office grade``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from understudy.errors import UserMistakeError


def grade(
    folder: Annotated[Path, typer.Argument(help="Results of `office run`; scores and votes are written into them.")],
    graders: Annotated[Path, typer.Option(help="YAML file: graders: [{name, url, model, api_key_env, ...}, ...].")],
    rubrics: Annotated[
        Path | None, typer.Option(help="A folder of tasks, or a file of task_id and rubric_json; else the results'.")
    ] = None,
    pairwise: Annotated[Path | None, typer.Option(metavar="OTHER", help="Compare blind with these results.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of a blind comparison.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap of a blind comparison.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Grade what office tasks handed in, by models.

    A rubric by several graders and majority, or two runs blind side by side.
    """
    from understudy.evaluation.grading import grade_folder, load_panel, rubrics_in
    from understudy.evaluation.grading.pairwise import compare_pairwise

    if pairwise is not None and rubrics is not None:
        raise UserMistakeError("--rubrics and --pairwise are two ways of grading", remedy="Give one of them.")
    if out is not None and pairwise is None:
        raise UserMistakeError(
            "--out is for a blind comparison",
            expected="--pairwise OTHER",
            remedy="Scores are written into the results.",
        )
    panel = load_panel(graders)
    with Console(stderr=True, highlight=False, markup=False).status("asking the graders") as status:
        if pairwise is not None:
            into = out or folder / f"against-{pairwise.resolve().name}"
            report = compare_pairwise(folder, pairwise, panel, out=into, seed=seed)
            text, where = _pairwise_text(report), into / "pairwise.json"
        else:
            rows = None if rubrics is None else rubrics_in(rubrics)
            report = grade_folder(folder, panel, rubrics=rows, progress=lambda name: status.update(f"graded {name}"))
            text, where = _rubric_text(report), folder / "grading.json"
    for notice in report["notices"]:  # type: ignore[attr-defined]
        print(notice, file=sys.stderr)
    print(json.dumps(report) if as_json else f"{text}\n{where} has the whole account.", flush=True)


def _rubric_text(report: Mapping[str, Any]) -> str:
    score, criteria, agreement = report["score"], report["criteria"], report["agreement"]
    lines = [
        f"{report['num_scored']} of {report['num_tasks']} tasks have a score"
        + (f"; their mean is {_interval(score)}." if score else "."),
        f"{criteria['met']} criteria met, {criteria['not_met']} not met, {criteria['ungraded']} ungraded.",
        _agreement_line(agreement),
        *(_grader_line(grader) for grader in report["graders"]),
    ]
    for key, what in (
        ("tasks_without_score", "without a score"),
        ("tasks_without_rubric", "without a rubric"),
        ("tasks_missing_from_results", "missing from the results"),
        ("tasks_with_an_error", "whose attempt met an error"),
        ("tasks_scored_0_unasked", "without a file, or not finished"),
    ):
        if report[key]:
            lines.append(f"{what}: {_few(list(report[key]))}")
    if report["unreadable_files"]:
        lines.append(f"files that could not be read: {_few([one['file'] for one in report['unreadable_files']])}")
    return "\n".join(lines)


def _agreement_line(agreement: Mapping[str, Any]) -> str:
    if agreement["kappa"] is None:
        return "The graders' agreement has no kappa: too few votes, or only one answer ever given."
    left = f", {agreement['num_left_out']} left out for a missing vote" if agreement["num_left_out"] else ""
    return (
        f"Fleiss' kappa {agreement['kappa']:.3f} of {agreement['num_raters']} graders on {agreement['num_items']} "
        f"criteria{left}; pairs of graders agree on {agreement['share']:.1%}."
    )


def _grader_line(grader: Mapping[str, Any]) -> str:
    counts = {**grader["ungraded"]}
    left = f"; ungraded: {', '.join(f'{count} {reason}' for reason, count in counts.items())}" if counts else ""
    cost = f", cost {grader['cost']:.4g}" if grader["cost"] else ""
    return f"{grader['name']} ({grader['model']}): {grader['num_votes']} votes{left}{cost}"


def _pairwise_text(report: Mapping[str, Any]) -> str:
    from understudy.evaluation.statistics import p_text

    counts, model, first = report["majority"], report["bradley_terry"], report["position"]["first_preferred"]
    lines = [f"{report['num_tasks']} tasks, {report['num_ungraded']} without a majority."]
    if counts:
        lines.append(
            f"{counts['wins']} wins, {counts['ties']} ties, {counts['losses']} losses of the first run; net margin "
            f"{counts['margin']:+.1%} [{counts['margin_low']:+.1%}, {counts['margin_high']:+.1%}], "
            f"sign test {p_text(counts['p_value'])}."
        )
    if model:
        low, high = model["win_probability_low"], model["win_probability_high"]
        lines.append(
            f"Bradley-Terry: it is preferred with probability {model['win_probability']:.3f} [{low:.3f}, {high:.3f}]."
        )
    if first:
        lines.append(f"Shown first, a work was preferred in {_interval(first)} of decisive verdicts; 0.5 is no bias.")
    lines += [
        f"{one['name']} ({one['model']}): {one['preferred']['a']} / {one['preferred']['tie']} / {one['preferred']['b']}"
        + (
            f"; ungraded: {', '.join(f'{n} {reason}' for reason, n in one['ungraded'].items())}"
            if one["ungraded"]
            else ""
        )
        for one in report["graders"]
    ]
    return "\n".join(lines)


def _interval(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["low"], estimate["high"]
    known = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return f"{estimate['mean']:.3f}{known}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
