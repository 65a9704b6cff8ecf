"""A finished comparison of agents: its rows, its tables, and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from understudy.bench.agents.drift import EXPLAINED, Drift, drift_of, drift_table
from understudy.bench.agents.house import Definition
from understudy.bench.agents.results import AgentResult, Course
from understudy.bench.agents.rows import INTERVALS, Row, row_of
from understudy.bench.agents.tables import against_table, conduct_table, kinds_table, ratio_table, success_table
from understudy.bench.charts import MOST_CURVES, in_groups, means_of, series_of
from understudy.bench.outcome import machine_of
from understudy.bench.page import Page, write_page
from understudy.bench.tables import Table, aligned, markdown
from understudy.reports.charts import Chart, Column, Form
from understudy.testbed import tasks
from understudy.training.durable import write_text
from understudy.training.surroundings import describe

TITLE = "Agents compared in the tiny house"
COMPARED_WITH = ("grpo", "opd", "atod")
"""Contenders whose success is subtracted from everybody's, where they took part."""

_FIGURES: tuple[tuple[str, str, str, Form], ...] = (
    ("success", "Success on the way", "share of validation games won, temperature 1", "share"),
    ("turns", "Turns on the way", "mean turns of a validation game", "number"),
    ("invalid", "Invalid actions on the way", "share of turns, validation games", "share"),
    ("loops", "Repeated turns on the way", "share of turns, validation games", "share"),
    ("reverse_kl", "Reverse KL to the contender's own teacher", "nats a token, validation games", "number"),
)


@dataclass(frozen=True)
class Outcome:
    """What a comparison found.

    Args:
        definition: what was compared. command: that made it. runs: by contender, one a seed.
        measured: the start (the first) and the teachers, one result a seed. notes: by contender.
    """

    definition: Definition
    command: str
    runs: Mapping[str, Sequence[AgentResult]]
    measured: Mapping[str, Sequence[AgentResult]]
    notes: Mapping[str, str]

    @property
    def starts(self) -> Sequence[AgentResult]:
        """The student before any training, one a seed."""
        return next(iter(self.measured.values()))

    @cached_property
    def rows(self) -> list[Row]:
        """What was only measured, then the contenders."""
        games = tasks(self.definition.house.dataset, "eval", limit=self.definition.games)
        kinds = [str(task.columns["kind"]) for task in games]
        others = {name: self.runs[name] for name in COMPARED_WITH if name in self.runs}
        still = [
            row_of(found, () if found is self.starts else self.starts, others={}, kinds=kinds)
            for found in self.measured.values()
        ]
        moved = [
            row_of(
                found,
                self.starts,
                others={name: theirs for name, theirs in others.items() if name != label},
                kinds=kinds,
                note=self.notes.get(label, ""),
            )
            for label, found in self.runs.items()
        ]
        return [*still, *moved]

    @cached_property
    def drifts(self) -> list[Drift]:
        """From the start to the last weights, of every contender with a teacher other than itself."""
        return [one for found in self.runs.values() if (one := drift_of(found, self.starts)) is not None]

    @cached_property
    def tables(self) -> dict[str, Table]:
        """By caption."""
        found = {
            "Success on unseen games, per cent": success_table(self.rows),
            "How they play unseen games, last weights": conduct_table(self.rows),
            "Final success by sort of task, per cent": kinds_table(self.rows),
            "Nearer to the teacher, and better?": drift_table(self.drifts),
            "Differences in points, over seeds": against_table(self.rows),
            "Mean |kappa A_OPD| / mean |rho A_GRPO|, from kept rollouts": ratio_table(self.rows),
        }
        return {caption: table for caption, table in found.items() if len(table) > 1 and len(table[0]) > 1}

    @cached_property
    def surroundings(self) -> dict[str, object]:
        """Machine and versions."""
        return describe(seed=0)

    def to_json(self) -> dict[str, object]:
        """Everything but the single games, which ``results/`` has."""
        return {
            "command": self.command,
            **self.definition.to_json(),
            "intervals": INTERVALS,
            "rows": [row.to_json() for row in self.rows],
            "drifts": [drift.to_json() for drift in self.drifts],
            "environment": self.surroundings,
        }


def text_of(outcome: Outcome) -> str:
    """The tables for a terminal."""
    parts = [f"{caption}\n\n{aligned(table)}" for caption, table in outcome.tables.items()]
    return "\n\n".join([*parts, INTERVALS, EXPLAINED])


def section_of(outcome: Outcome) -> str:
    """A section for docs/results.md: command, seeds, machine, tables, and what the intervals are over."""
    definition = outcome.definition
    house = definition.house
    tables = [f"**{caption}**\n\n{markdown(table)}" for caption, table in outcome.tables.items()]
    budget = (
        f"{definition.steps} steps of {house.prompts} x {house.generations} episodes of at most {house.max_turns} turns"
    )
    choice = f"{definition.validation_games} validation games every {definition.validate_every} steps"
    about = (
        f"{budget}, seeds 0 to {len(outcome.starts) - 1}, {definition.games} unseen games, {choice}, "
        f"{definition.rates} learning rates; {machine_of(outcome.surroundings)}."
    )
    parts = [f"## {TITLE}", f"    {outcome.command}", about, *tables, INTERVALS, EXPLAINED]
    return "\n\n".join(parts) + "\n"


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Write ``results.json`` with everything, ``results.md``, and ``report.html``."""
    runs = {label: [run.model_dump(exclude={"recipe"}) for run in found] for label, found in outcome.runs.items()}
    measured = {label: [run.model_dump() for run in found] for label, found in outcome.measured.items()}
    content = {**outcome.to_json(), "runs": runs, "measured": measured}
    write_text(folder / "results.json", json.dumps(content, allow_nan=False) + "\n")
    write_text(folder / "results.md", section_of(outcome))
    write_page(_page(outcome), folder / "report.html")


def _page(outcome: Outcome) -> Page:
    definition = outcome.definition
    facts = {
        "steps": str(definition.steps),
        "seeds": str(len(outcome.starts)),
        "games": str(definition.games),
        "learning rates": definition.rates,
        "command": outcome.command,
        "machine": machine_of(outcome.surroundings),
    }
    lead = "One weak student, the same games and the same budget for everybody; success is on games nobody trained on."
    return Page(TITLE, lead, facts, outcome.tables, charts_of(outcome.runs), notes=[INTERVALS, EXPLAINED])


def charts_of(runs: Mapping[str, Sequence[AgentResult]]) -> list[Chart]:
    """Every figure on the way and the ratio of signals; a curve is the mean over the contender's seeds."""
    courses = {label: [run.course for run in found if run.final is not None] for label, found in runs.items()}
    known = {label: found for label, found in courses.items() if found and found[0].validated}
    groups = in_groups(list(known), most=MOST_CURVES)
    charts = [
        _chart(title, unit, form, {label: known[label] for label in group}, name=name)
        for name, title, unit, form in _FIGURES
        for group in groups
    ]
    ratios = {label: found for label, found in known.items() if any(found[0].ratio)}
    if ratios:
        drawn = {label: means_of([course.ratio for course in found]) for label, found in ratios.items()}
        steps = next(iter(ratios.values()))[0].ratio_at
        charts.append(_curves("Ratio of the two signals", "mean |kappa A_OPD| / mean |rho A_GRPO|", steps, drawn))
    return [chart for chart in charts if chart.series]


def _chart(title: str, unit: str, form: Form, courses: Mapping[str, Sequence[Course]], *, name: str) -> Chart:
    drawn = {label: means_of([getattr(course, name) for course in found]) for label, found in courses.items()}
    return _curves(title, unit, next(iter(courses.values()))[0].validated, drawn, form=form)


def _curves(title: str, unit: str, steps: Sequence[int], drawn: Mapping[str, Column], form: Form = "number") -> Chart:
    return Chart(title, unit, tuple(map(float, steps)), series_of(drawn), form=form)
