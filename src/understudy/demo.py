"""The embedded default: a student that mostly speaks a foreign format is brought to its teacher's, three ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.api import Run, report_or_tell, train
from understudy.errors import RunDirectoryError
from understudy.evaluation.statistics import p_text
from understudy.evaluation.suites import write_json
from understudy.recipe import Recipe, recipe_from
from understudy.testbed.multiplication import ANSWER_PATTERN
from understudy.training.progress import Display

STEPS = 40
BASELINES = ("seq_kd", "sft")
MARK = "demo.json"
"""A folder that holds this file was written by the demo, and the next demo may move it aside."""


@dataclass(frozen=True)
class Demo:
    """What the demo did.

    Args:
        path: folder of the OPD run; the baselines are below it. summary: of the OPD run, the baselines' suites added.
        run: the last one that ran; its ``outcome.signal`` tells whether the demo was stopped.
    """

    path: Path
    summary: Mapping[str, object]
    run: Run


def demo_recipe(method: str, *, name: str, output: str, steps: int = STEPS) -> Recipe:
    """The testbed's recipe with one of its methods, at equal steps and equally many sequences a step.

    ``sft`` learns from the data's own solutions, one a problem; the others write four answers to each of 32 problems.
    """
    prompts, generations = (128, 1) if method == "sft" else (32, 4)
    return recipe_from(
        {
            "name": name,
            "output": output,
            "student": {"model": "testbed/multiplication-student"},
            "teacher": {"model": "testbed/multiplication-teacher"},
            "data": {
                "dataset": "testbed/multiplication",
                "verifier": {"kind": "numeric", "extract": ANSWER_PATTERN},
            },
            "rollout": {
                "prompts_per_step": prompts,
                "num_generations": generations,
                "max_completion_length": 72,
                "show_every": steps if method == "opd" else 0,
            },
            "objective": {"method": method},
            "optimizer": {"learning_rate": 3e-4, "schedule": "linear"},
            "steps": steps,
            "evaluation": {
                "suites": ["testbed/multiplication-greedy", "testbed/multiplication-sampled"],
                "before": method == "opd",
                "teacher": method == "opd",
            },
            "checkpoint": {"every": 20},
            "engine": {"threads": 1, "micro_batch_tokens": 1024},
        }
    )


def run_demo(out: Path, *, display: Display, steps: int = STEPS) -> Demo:
    """Make teacher and start (kept for the next time), distil by ``opd``, then the baselines from the same start.

    Raises:
        RunDirectoryError: ``out`` exists and was not written by a demo.
    """
    _make_room(out, display)
    run = _run("opd", out, display, steps)
    write_json({"method": "opd"}, out / MARK)
    summary = dict(run.summary or {})
    baselines: dict[str, object] = {}
    for method in BASELINES:
        if run.outcome.signal is not None:
            break
        run = _run(method, out / "baselines" / method, display, steps)
        if run.summary is not None:
            baselines[method] = run.summary["suites"]
    if summary:
        summary["baselines"] = baselines
        write_json(summary, out / "summary.json")
        report_or_tell(out, display)
    return Demo(out, summary, run)


def _run(method: str, path: Path, display: Display, steps: int) -> Run:
    display.notice(f"Student by {method}, {steps} steps:")
    return train(demo_recipe(method, name=path.name, output=str(path.parent), steps=steps), display=display)


def _make_room(out: Path, display: Display) -> None:
    """Move an earlier demo aside; anything else in the way stays where it is."""
    if out.exists() and not out.is_dir():
        raise RunDirectoryError(f"{out} is no folder", remedy="Choose another one with --out.")
    if not out.exists() or not any(out.iterdir()):
        return
    if not _is_demo(out):
        raise RunDirectoryError(f"{out} exists and is no demo", remedy="Choose another folder with --out.")
    number = next(n for n in range(1, 10_000) if not out.with_name(f"{out.name}-{n}").exists())
    aside = out.with_name(f"{out.name}-{number}")
    out.rename(aside)
    display.notice(f"The earlier demo is now in {aside}.")


def _is_demo(out: Path) -> bool:
    recipe = out / "recipe.yaml"
    return (out / MARK).is_file() or (recipe.is_file() and "testbed/multiplication-student" in recipe.read_text())


def table_rows(summary: Mapping[str, object]) -> list[Sequence[str]]:
    """The demo's table as text cells: who, then one cell a suite."""
    suites = _mapping(summary["suites"])
    rows = [["", *(name.removeprefix("multiplication-") for name in suites)]]
    for who, key in (("teacher", "teacher"), ("student before", "before"), ("student after opd", "after")):
        rows.append([who, *(share(_mapping(_mapping(suite)[key])) for suite in suites.values())])
    rows.append(["  gain over before", *(margin(_mapping(_mapping(suite)["paired"])) for suite in suites.values())])
    rows.append(["  wins / ties / losses", *(record(_mapping(_mapping(suite)["paired"])) for suite in suites.values())])
    for method, figures in _mapping(summary.get("baselines", {})).items():
        after = [share(_mapping(_mapping(suite)["after"])) for suite in _mapping(figures).values()]
        rows.append([f"student after {method}", *after])
    return [tuple(row) for row in rows]


def suite_rows(suites: object) -> list[list[str]]:
    """The suites of any run's summary as cells: teacher, student before and after, and its gain; empty for none."""
    rows = [["suite", "teacher", "before", "after", "gain over before"]]
    for name, figures in _mapping(suites).items():
        known = _mapping(figures)
        cells = [_figure(known.get(key)) for key in ("teacher", "before", "after")]
        rows.append([name, *cells, margin(_mapping(known["paired"])) if "paired" in known else ""])
    return rows if len(rows) > 1 else []


def _figure(estimate: object) -> str:
    if not estimate:
        return ""
    mean, low, high = (float(str(_mapping(estimate)[key])) for key in ("mean", "low", "high"))
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def share(estimate: Mapping[str, object]) -> str:
    """An accuracy with its interval.

    >>> share({"mean": 0.5, "low": 0.469, "high": 0.531, "n": 1000})
    '50.0 % [46.9, 53.1]'
    """
    mean, low, high = (100 * float(str(estimate[key])) for key in ("mean", "low", "high"))
    return f"{mean:.1f} % [{low:.1f}, {high:.1f}]"


def margin(paired: Mapping[str, object]) -> str:
    """A paired net margin with interval and p-value."""
    mean, low, high = (100 * float(str(paired[key])) for key in ("margin", "margin_low", "margin_high"))
    return f"{mean:+.1f} % [{low:+.1f}, {high:+.1f}], {p_text(float(str(paired['p_value'])))}"


def record(paired: Mapping[str, object]) -> str:
    """Wins, ties and losses.

    >>> record({"wins": 3, "ties": 2, "losses": 1})
    '3 / 2 / 1'
    """
    return " / ".join(str(paired[key]) for key in ("wins", "ties", "losses"))


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value
