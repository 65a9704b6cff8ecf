"""A finished comparison: its rows, its tables, and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from understudy.bench.charts import charts_of
from understudy.bench.page import Page, write_page
from understudy.bench.plan import Definition
from understudy.bench.results import RunResult
from understudy.bench.rows import INTERVALS, Row, Verdict, rows_of, verdict_of
from understudy.bench.settings import Domain, Setting
from understudy.bench.tables import Table, accuracy_table, aligned, cost_table, markdown, measure_table, verdict_table
from understudy.training.durable import write_text
from understudy.training.surroundings import describe


@dataclass(frozen=True)
class Outcome:
    """What a comparison found.

    Args:
        setting, definition: what was compared. command: that made it. runs: by contender, one a seed.
        measured: models that were only measured, the start among them, one result a seed. notes: by contender.
    """

    setting: Setting
    definition: Definition
    command: str
    runs: Mapping[str, Sequence[RunResult]]
    measured: Mapping[str, Sequence[RunResult]]
    notes: Mapping[str, str]

    @property
    def title(self) -> str:
        """What is compared, and where."""
        ablation = self.definition.ablation
        return f"{f'Ablation of {ablation}' if ablation else 'Methods compared'}: {self.setting.name}"

    @cached_property
    def rows(self) -> list[Row]:
        """What was only measured, then the contenders."""
        return rows_of(self.setting, self.runs, self.measured, self.notes)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Of a setting that merges experts: everybody against each expert in its own domain."""
        if not self.setting.merges:
            return []
        whole = [[run for run in found if run.diverged is None] for found in self.runs.values()]
        judged = [*([self.measured["average"]] if "average" in self.measured else []), *filter(None, whole)]
        return [verdict_of(found, self.measured, self.setting.domains) for found in judged]

    @cached_property
    def tables(self) -> dict[str, Table]:
        """By caption."""
        domains = self.setting.domains
        found = {_caption(domain): accuracy_table(self.rows, domain) for domain in domains}
        found["Fresh answers and training"] = measure_table(self.rows)
        if self.verdicts:
            found["Against the experts, in points"] = verdict_table(self.verdicts, domains)
        found["Cost"] = cost_table(self.rows)
        return found

    @cached_property
    def surroundings(self) -> dict[str, object]:
        """Machine and versions."""
        return describe(seed=0)

    def to_json(self) -> dict[str, object]:
        """Everything but the single answers and curves, which ``results/`` has."""
        return {
            "command": self.command,
            **self.definition.to_json(),
            "about": self.setting.about,
            "intervals": INTERVALS,
            "rows": [row.to_json() for row in self.rows],
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "environment": self.surroundings,
        }


def _caption(domain: Domain) -> str:
    what = "trained" if domain.trained else "not trained"
    return f"Accuracy on {domain.name} ({what}), per cent; gain over the start, points"


def text_of(outcome: Outcome) -> str:
    """The tables for a terminal."""
    parts = [f"{caption}\n\n{aligned(table)}" for caption, table in outcome.tables.items()]
    return "\n\n".join([*parts, INTERVALS])


def section_of(outcome: Outcome) -> str:
    """A section for docs/results.md: command, seeds, machine, tables, and what the intervals are over."""
    definition, seeds = outcome.definition, len(next(iter(outcome.measured.values())))
    tables = [f"**{caption}**\n\n{markdown(table)}" for caption, table in outcome.tables.items()]
    parts = [
        f"## {outcome.title}, {definition.rates} learning rates",
        f"    {outcome.command}",
        f"{outcome.setting.about} {definition.steps} steps of {outcome.setting.prompts} x {outcome.setting.generations}"
        f" answers, seeds 0 to {seeds - 1}, {definition.problems} held-out problems of each domain; "
        f"{machine_of(outcome.surroundings)}.",
        *tables,
        INTERVALS,
    ]
    return "\n\n".join(parts) + "\n"


def machine_of(surroundings: Mapping[str, object]) -> str:
    """Processor, cores and torch in a few words."""
    hardware, versions = surroundings["hardware"], surroundings["versions"]
    assert isinstance(hardware, Mapping) and isinstance(versions, Mapping)
    return f"{hardware['processor']}, {hardware['cores']} cores, one thread a run, torch {versions['torch']}"


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """Write ``results.json`` with everything, ``results.md``, and ``report.html``."""
    curves = {label: [run.model_dump(exclude={"recipe"}) for run in found] for label, found in outcome.runs.items()}
    measured = {label: [run.model_dump() for run in found] for label, found in outcome.measured.items()}
    content = {**outcome.to_json(), "runs": curves, "measured": measured}
    write_text(folder / "results.json", json.dumps(content, allow_nan=False) + "\n")
    write_text(folder / "results.md", section_of(outcome))
    write_page(_page(outcome), folder / "report.html")


def _page(outcome: Outcome) -> Page:
    definition = outcome.definition
    facts = {
        "learning rates": definition.rates,
        "steps": str(definition.steps),
        "seeds": str(len(next(iter(outcome.measured.values())))),
        "problems": str(definition.problems),
        "command": outcome.command,
        "machine": machine_of(outcome.surroundings),
    }
    return Page(
        title=outcome.title,
        lead=outcome.setting.about,
        facts=facts,
        tables=outcome.tables,
        charts=charts_of(outcome.runs),
        notes=[INTERVALS],
    )
