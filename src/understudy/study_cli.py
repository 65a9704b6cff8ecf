"""``understudy office-study``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import methods
from understudy.starting import starting

if TYPE_CHECKING:
    from understudy.study.figures import Figures


def office_study(
    out: Annotated[Path, typer.Option(help="Folder of the study; one that was stopped goes on.")] = Path(
        "runs/office-study"
    ),
    method: Annotated[str, typer.Option(help="Of training.", autocompletion=methods)] = "opd",
    steps: Annotated[int, typer.Option(min=1, help="Of training.")] = 30,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything that is drawn.")] = 0,
    tasks: Annotated[int, typer.Option(min=2, help="Unseen errands for each model.")] = 220,
    questions: Annotated[int, typer.Option(min=2, help="Of each quiz of the regression suite.")] = 300,
    margin: Annotated[float, typer.Option(min=0.001, max=1, help="The largest loss that would not matter.")] = 0.05,
    temperature: Annotated[float, typer.Option(min=0, help="Of the examinations; 0 is greedy.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Distil a tiny office worker; did it help?

    Curves, scores, losses elsewhere, work side by side.
    """
    with starting():
        from understudy.study import StudySettings, run_study
        from understudy.training.progress import display_on, shown

    settings = StudySettings(
        method=method,
        steps=steps,
        seed=seed,
        num_tasks=tasks,
        num_questions=questions,
        margin=margin,
        temperature=temperature,
    )
    with shown(display_on(sys.stderr)) as display:
        done = run_study(out, settings, display)
    if done.figures is None:
        print(f"Stopped; the same command goes on in {done.path}.", file=sys.stderr, flush=True)
        raise typer.Exit(done.exit_status)
    print(json.dumps(done.figures.to_json()) if as_json else _words(done.figures, done.path), flush=True)


def _words(figures: Figures, path: Path) -> str:
    from understudy.comparing.words import comparison_text

    rows = [f"{'':22}{'teacher':24}{'base':24}distilled"]
    for title, each in {**figures.measures, **figures.quizzes}.items():
        cells = [
            f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" if one is not None else ""
            for one in (each.get(name) for name in ("teacher", "base", "distilled"))
        ]
        rows.append(f"{title:22}" + "".join(f"{cell:24}" for cell in cells).rstrip())
    told = [comparison_text(figures.office), comparison_text(figures.regression)]
    return "\n\n".join(["\n".join(rows), *told, f"{path}/study.html shows all of it; summary.json holds the figures."])
