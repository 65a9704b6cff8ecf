"""What the head and the foot of the page say about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from understudy.reports.figures import as_mapping, as_number, count, duration, number
from understudy.reports.reading import RunRecord


@dataclass(frozen=True)
class FigureRow:
    """One figure over the whole run, as text."""

    name: str
    first: str
    last: str
    lowest: str
    highest: str
    steps: str


def standing_in_words(run: RunRecord) -> str:
    """How a run without a summary stands, a sentence."""
    why = str(run.ending.get("why") or "no reason is told")[:300]
    if run.ending.get("state") == "failed":
        return f"This run failed: {why}."
    if run.ending.get("state") == "stopped":
        return f"This run was stopped ({why}); --resume goes on with it."
    return "This run has no summary.json: it is going on, or its process is gone."


def facts_of(run: RunRecord) -> dict[str, str]:
    """Name -> value for the head of the page; what is unknown is left out."""
    summary = run.summary or {}
    seed = summary.get("seed", run.setting("seed"))
    facts = {
        "Method": summary.get("method") or run.setting("objective", "method"),
        "Student": _model(run.setting("student")),
        "Teacher": _teacher(run.setting("teacher")),
        "Data": ", ".join(run.datasets),
        "Steps": _steps(run),
        "Time": duration(_seconds(run)),
        "Seed": seed,
        "Commit": str(run.environment.get("commit") or "")[:12],
        "Machine": _machine(as_mapping(run.environment.get("hardware"))),
    }
    return {name: str(value) for name, value in facts.items() if value not in (None, "", "–")}


def figure_rows(run: RunRecord) -> tuple[FigureRow, ...]:
    """Every figure of ``metrics.jsonl``, in the order of the file."""
    names = dict.fromkeys(name for line in run.metrics for name in line if name != "step")
    return tuple(_row(name, [value for line in run.metrics if (value := line.get(name)) is not None]) for name in names)


def _row(name: str, values: list[float]) -> FigureRow:
    ends = (values[0], values[-1], min(values), max(values)) if values else (None,) * 4
    first, last, lowest, highest = map(number, ends)
    return FigureRow(name, first=first, last=last, lowest=lowest, highest=highest, steps=f"{len(values):,}")


def _model(section: object) -> str:
    model = as_mapping(section)
    name = model.get("model")
    if name is None:
        return ""
    rank = as_mapping(model.get("lora")).get("rank")
    return f"{name}, LoRA of rank {rank}" if rank is not None else str(name)


def _teacher(section: object) -> str:
    """One model, several by route, a mixture, or stored scores."""
    teacher = as_mapping(section)
    if "scores" in teacher:
        return f"scores in {teacher['scores']}"
    routes, parts = as_mapping(teacher.get("routes")), teacher.get("mixture")
    if isinstance(parts, list):
        return " + ".join(f"{as_mapping(part).get('weight')} × {_model(part)}" for part in parts)
    return ", ".join(f"{name}: {_model(one)}" for name, one in routes.items()) or _model(section)


def _steps(run: RunRecord) -> str:
    planned = as_number(run.setting("steps"))
    done = len(run.metrics)
    if planned is None:
        return f"{done:,}"
    return f"{done:,}" if done == planned else f"{done:,} of {planned:,.0f}"


def _seconds(run: RunRecord) -> float | None:
    """Of the whole run; before its end, of its steps."""
    told = as_number((run.summary or {}).get("seconds"))
    if told is not None or not run.metrics:
        return told
    return sum(line.get("step_time") or 0.0 for line in run.metrics)


def _machine(hardware: Mapping[str, object]) -> str:
    gpus = hardware.get("gpus")
    if isinstance(gpus, list) and gpus:
        return ", ".join(f"{gpus.count(name)} × {name}" for name in dict.fromkeys(map(str, gpus)))
    cores = as_number(hardware.get("cores"))
    return count(int(cores), "CPU core") if cores is not None else ""
