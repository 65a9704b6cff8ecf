"""Every figure that a run logs: what it means, its unit, what is healthy, and what to do when it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

_PART = re.compile(r"<[a-z_]+>")


_LEAD = (
    "Every figure that a run can log to `metrics.jsonl` (one line a step) or `evaluation/figures.jsonl` (one line an",
    "evaluation). This page is written by `python -m benchmarks.glossary` from `src/understudy/reports/metrics.yaml`;",
    "a test fails where a figure of the program has no entry. A name in angle brackets stands for one of the run's",
    "own: of a loss term, a domain, a suite. Figures of `time/` and `memory/`, and `step_time`, depend on the machine;",
    "all others repeat bit for bit on `--resume`. [reading-a-report.md](reading-a-report.md) says what matters most.",
)


@dataclass(frozen=True)
class Metric:
    """One figure, or a family of them.

    Args:
        name: as it stands in ``metrics.jsonl``; ``<term>`` and the like stand for a name of the run's own.
        unit: of its values. meaning: what it is. healthy: how it looks in a run that goes well. remedy: what to do
            otherwise. The last two may be empty: the figure is only told.
    """

    name: str
    unit: str
    meaning: str
    healthy: str = ""
    remedy: str = ""

    @property
    def family(self) -> str:
        """What comes before the first slash, or nothing."""
        return self.name.split("/")[0] if "/" in self.name else ""


@cache
def metrics() -> tuple[Metric, ...]:
    """The glossary, in the order of its file."""
    text = resources.files("understudy.reports").joinpath("metrics.yaml").read_text(encoding="utf-8")
    return tuple(Metric(name, **fields) for name, fields in yaml.safe_load(text).items())


def metric_of(name: str) -> Metric | None:
    """The entry of a figure: its own, else the family's that it belongs to.

    >>> metric_of("kl/reverse_k1/algebra").name, metric_of("loss/trusted").name, metric_of("of nobody")
    ('kl/reverse_k1/<domain>', 'loss/<term>', None)
    """
    return next((metric for metric in metrics() if _pattern(metric.name).fullmatch(name)), None)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    # A domain is called as its data set is, and may hold slashes itself.
    rest = name.removesuffix("<domain>")
    parts = (re.escape(part) for part in _PART.split(rest))
    return re.compile("[^/]+".join(parts) + (".+" if rest != name else ""))


def glossary_page() -> str:
    """The glossary as Markdown."""
    lines = ["# Metrics", "", *_LEAD, ""]
    family = None
    for metric in metrics():
        if metric.family != family:
            family = metric.family
            lines += [f"## {family + '/' if family else 'Of the whole step'}", ""]
            lines += ["| figure | unit | meaning | healthy | what to do otherwise |", "|---|---|---|---|---|"]
        cells = (f"`{metric.name}`", metric.unit, metric.meaning, metric.healthy, metric.remedy)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        following = metrics()[metrics().index(metric) + 1 :]
        if not following or following[0].family != family:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"
