"""Which figures of a run are drawn together, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from understudy.reports.charts import Chart, Form, Rule, Series
from understudy.reports.figures import as_mapping, as_number, count
from understudy.reports.reading import Line, RunRecord

SUITE = "Evaluation: "
"""What the title of a suite's chart begins with."""


@dataclass(frozen=True)
class ChartPlan:
    """A chart by the names of its figures.

    Args:
        figures: name of a figure -> its label. prefix: every figure of this beginning too, labelled by its rest.
        without: figures of that beginning that are left out. level: drawn across.
        wanted: readers look for it, so its absence is told. idle: not drawn where every value is this one.
    """

    title: str
    unit: str
    figures: Mapping[str, str]
    prefix: str = ""
    form: Form = "number"
    with_zero: bool = True
    stacked: bool = False
    wanted: bool = True
    without: tuple[str, ...] = ()
    level: Rule | None = None
    idle: float | None = None


_NATS = "nats per token"
PLANS = (
    ChartPlan("Teacher reverse KL", _NATS, {"kl/reverse_k1": "k1", "kl/k3": "k3"}),
    ChartPlan("Teacher reverse KL by domain", "k1, " + _NATS, {}, prefix="kl/reverse_k1/", wanted=False),
    ChartPlan(
        "Entropy",
        _NATS,
        {"entropy": "student", "entropy/sampled": "student, from its own tokens", "teacher/entropy": "teacher"},
    ),
    ChartPlan("Reward", "mean a rollout", {"reward": "student", "teacher/reward": "teacher"}),
    ChartPlan("Accuracy", "share", {"accuracy": "student", "teacher/accuracy": "teacher"}, form="share"),
    ChartPlan("Success by task", "share", {}, prefix="accuracy/", form="share", wanted=False),
    ChartPlan("Turns", "mean an episode", {"rollouts/mean_turns": "turns"}, wanted=False, idle=1.0),
    ChartPlan(
        "Actions",
        "share of all actions",
        {
            "actions/malformed_rate": "malformed",
            "actions/inadmissible_rate": "inadmissible",
            "actions/repeated_rate": "repeated",
        },
        form="share",
        wanted=False,
    ),
    ChartPlan(
        "Weights of both signals",
        "coefficient",
        {"hybrid/kl_coef": "distillation", "hybrid/rl_coef": "reward"},
        wanted=False,
    ),
    ChartPlan(
        "Distillation against reward",
        "ratio of mean sizes in the advantage",
        {"hybrid/opd_rl_ratio": "ratio"},
        wanted=False,
        level=Rule("equal", 1.0),
    ),
    ChartPlan(
        "Turn weights",
        "over turns",
        {
            "tdur/mean_weight": "mean weight",
            "tdur/active_ratio": "share above 0.5",
            "step_ratio/mean_weight": "mean weight",
            "step_ratio/active_ratio": "share above 0.5",
        },
        wanted=False,
    ),
    ChartPlan(
        "Distance to the teacher",
        "mean |log ratio|, " + _NATS,
        {"gap/teacher_student": "student"},
        wanted=False,
    ),
    ChartPlan(
        "Completion length",
        "tokens",
        {
            "completions/mean_length": "mean",
            "completions/min_length": "shortest",
            "completions/max_length": "longest",
        },
    ),
    ChartPlan("Truncated completions", "share", {"completions/clipped_ratio": "cut by the limit"}, form="share"),
    ChartPlan(
        "Begun by the teacher", "share of tokens", {"prefix/share": "written beforehand"}, form="share", wanted=False
    ),
    ChartPlan("Answers not read", "share", {"parse_failure_rate": "no answer found"}, form="share", wanted=False),
    ChartPlan(
        "Office work",
        "share of attempts",
        {"office/any_deliverable_rate": "handed in a file", "office/efficiency_rate": "within half of the turns"},
        form="share",
        wanted=False,
    ),
    ChartPlan("Gates", "share of tokens in each term", {}, prefix="gate/", form="share"),
    ChartPlan("Loss", "mean over the updates of a step", {"loss": "loss"}, prefix="loss/", wanted=False),
    ChartPlan(
        "Support",
        "share",
        {
            "support/student_mass": "student's mass",
            "support/teacher_mass": "teacher's mass",
            "agreement/top1": "same first choice",
        },
        form="share",
        wanted=False,
    ),
    ChartPlan("Gradient norm", "before clipping", {"grad_norm": "norm"}),
    ChartPlan("Learning rate", "", {"learning_rate": "rate"}),
    ChartPlan(
        "Time by phase",
        "seconds a step",
        {},
        prefix="time/",
        form="seconds",
        stacked=True,
        without=("time/sampler_idle_share",),
    ),
    ChartPlan(
        "Memory",
        "GiB",
        {"memory/resident_gib": "process", "memory/peak_gib": "its peak", "memory/device_peak_gib": "GPU's peak"},
        wanted=False,
    ),
)
"""Evaluations come first, see ``charts_of``."""

_SLOTS = 8
_PHASES = ("sample", "student score", "teacher score", "reference score", "update", "magnify", "late score", "other")
"""In the order of their colours, so that those of two runs can be compared."""
_NEGLIGIBLE = 0.005
"""Phases that take a smaller share of all time are one phase, ``other``."""


def charts_of(run: RunRecord) -> tuple[Chart, ...]:
    """The run's charts, those without any figure left out."""
    drawn = [chart_of(plan, run.metrics) for plan in PLANS] if run.metrics else []
    bound = as_number(run.setting("optimizer", "max_grad_norm"))
    return tuple(_with_bound(chart, bound) for chart in [*evaluation_charts(run), *drawn] if chart is not None)


def not_recorded(charts: Sequence[Chart]) -> tuple[str, ...]:
    """Titles of the charts that a reader looks for and that this run has no figures for."""
    present = {chart.title for chart in charts}
    return tuple(plan.title for plan in PLANS if plan.wanted and plan.title not in present)


def evaluation_charts(run: RunRecord) -> list[Chart]:
    """One chart a suite: its mean and interval at every evaluation, the teacher's level across."""
    names = {name: None for line in run.evaluations for name in line}
    suites = [
        n.removeprefix("eval/").removesuffix("/mean") for n in names if n.startswith("eval/") and n.endswith("/mean")
    ]
    return [chart for suite in suites if (chart := _evaluation(run, suite)) is not None]


def _evaluation(run: RunRecord, suite: str) -> Chart | None:
    lines = [line for line in run.evaluations if line.get(f"eval/{suite}/mean") is not None]
    if not lines:
        return None
    mean, low, high = (tuple(line.get(f"eval/{suite}/{key}") for line in lines) for key in ("mean", "low", "high"))
    figures = as_mapping(as_mapping((run.summary or {}).get("suites")).get(suite))
    teacher = as_number(as_mapping(figures.get("teacher")).get("mean"))
    falls = run.lower_is_better(suite)
    bounded = all(value is None or 0 <= value <= 1 for value in (*mean, *low, *high, teacher))
    return Chart(
        title=f"{SUITE}{suite}",
        unit="mean with 95 % interval" + (", lower is better" if falls else ""),
        steps=_steps(lines),
        series=(Series("student", mean, 0, low, high),),
        form="share" if bounded and not falls else "number",
        rules=() if teacher is None else (Rule("teacher", teacher),),
    )


def chart_of(plan: ChartPlan, lines: Sequence[Line]) -> Chart | None:
    """The planned chart of a run's metrics; None where they have none of its figures."""
    labels = dict(plan.figures)
    if plan.prefix:
        names = dict.fromkeys(name for line in lines for name in line if name.startswith(plan.prefix))
        names = {name: None for name in names if name not in plan.without}
        labels |= {name: name.removeprefix(plan.prefix).replace("_", " ") for name in names}
    found = {name: tuple(line.get(name) for line in lines) for name in labels}
    present = {labels[name]: column for name, column in found.items() if any(value is not None for value in column)}
    if plan.stacked:
        present = _without_small(present)
    if len(present) == 2 and "loss" in present:  # one term is the whole loss
        present = {"loss": present["loss"]}
    if all(value in (None, plan.idle) for column in present.values() for value in column):
        return None
    slots = _slots(present) if plan.stacked else [slot % _SLOTS for slot in range(len(present))]
    series = tuple(Series(*one, slot) for one, slot in zip(present.items(), slots, strict=True))
    lost = sum(name in line and line[name] is None for line in lines for name in labels)
    return Chart(
        title=plan.title,
        unit=plan.unit,
        steps=_steps(lines),
        series=series,
        form=plan.form,
        with_zero=plan.with_zero,
        stacked=plan.stacked,
        rules=() if plan.level is None else (plan.level,),
        note=f"{count(lost, 'value')} not finite and left out." if lost else "",
    )


def _without_small(columns: Mapping[str, tuple[float | None, ...]]) -> dict[str, tuple[float | None, ...]]:
    """Phases worth a colour, then the sum of the rest as ``other``."""
    totals = {label: sum(value or 0.0 for value in column) for label, column in columns.items()}
    large = [label for label in columns if totals[label] > _NEGLIGIBLE * sum(totals.values())][: _SLOTS - 1]
    small = [column for label, column in columns.items() if label not in large]
    kept: dict[str, tuple[float | None, ...]] = {label: columns[label] for label in large}
    if small and large:
        kept["other"] = tuple(sum(value or 0.0 for value in values) for values in zip(*small, strict=True))
    return kept


def _slots(phases: Iterable[str]) -> list[int]:
    """A colour for each phase, the same in every run; one without its own takes a colour that is free."""
    names = list(phases)
    own = {name: _PHASES.index(name) for name in names if name in _PHASES}
    free = iter(slot for slot in reversed(range(_SLOTS)) if slot not in own.values())
    return [own[name] if name in own else next(free) for name in names]


def _with_bound(chart: Chart, bound: float | None) -> Chart:
    """The clipping bound in the chart of the gradient norm, where the norm comes near it."""
    if chart.title != "Gradient norm" or bound is None:
        return chart
    highest = max((value for value in chart.series[0].values if value is not None), default=0.0)
    return replace(chart, rules=(Rule("clipped above", bound),)) if highest > bound / 4 else chart


def _steps(lines: Sequence[Line]) -> tuple[float, ...]:
    return tuple(float(line["step"] or 0.0) for line in lines)
