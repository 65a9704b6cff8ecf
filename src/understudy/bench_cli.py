"""``understudy bench methods | variance | speed | memory``. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cost_cli import memory, speed
from understudy.errors import UserMistakeError

if TYPE_CHECKING:
    from understudy.bench.order import Order
    from understudy.bench.plan import RatePolicy

bench = typer.Typer(
    help="Compare methods, estimators, and what they cost.", no_args_is_help=True, rich_markup_mode=None
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a section for docs/.")]
bench.command()(speed)
bench.command()(memory)


@bench.command()
def methods(
    setting: Annotated[str, typer.Option(help="matched, mismatched, merge or strong-to-weak.")] = "matched",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer methods, seeds and problems; stored rates.")] = False,
    unified: Annotated[bool, typer.Option("--unified", help="One learning rate for all (the default).")] = False,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Each method's rate from a grid, on a validation split.")
    ] = False,
    methods: Annotated[str | None, typer.Option(help="Names, with commas between them.")] = None,
    ablation: Annotated[str | None, typer.Option(help="The rows of a paper's ablation: tropd.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each method; 5, or 3 with --quick.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of each run; else the setting's.")] = None,
    problems: Annotated[int | None, typer.Option(min=1, max=1000, help="Examined in each domain.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; finished runs in it are not repeated.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs side by side, a thread each.")] = 2,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Compare methods on the testbed: the same start, data and budget, several seeds."""
    from understudy.bench.methods import compare_methods
    from understudy.bench.outcome import section_of, text_of
    from understudy.training.progress import display_on

    order = _order(
        setting=setting,
        rates=_rate_policy(quick=quick, unified=unified, tuned=tuned),
        quick=quick,
        methods=methods,
        ablation=ablation,
        scale={"seeds": seeds, "steps": steps, "problems": problems},
        out=out,
        processes=processes,
    )
    outcome = compare_methods(order, display=display_on(sys.stderr))
    if as_json:
        print(json.dumps(outcome.to_json()), flush=True)
    elif as_markdown:
        print(section_of(outcome), end="", flush=True)
    else:
        print(f"{text_of(outcome)}\n\n{order.out}/report.html shows the curves, results.json has every figure.")


@bench.command()
def variance(
    longest: Annotated[int, typer.Option(min=2, max=10, help="Sequences of 1 to so many tokens.")] = 8,
    chains: Annotated[int, typer.Option(min=1, max=100, help="Random pairs of student and teacher.")] = 8,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Bias and variance of the policy gradient against its discount and the length, by exact enumeration."""
    from understudy.bench.variance import measure, section_of, text_of

    found = measure(longest=longest, num_chains=chains)
    if as_json:
        print(json.dumps(found.to_json()), flush=True)
    else:
        print(section_of(found, command=_command()) if as_markdown else text_of(found), flush=True)


def _rate_policy(*, quick: bool, unified: bool, tuned: bool) -> RatePolicy:
    if unified and tuned:
        raise UserMistakeError("--unified and --tuned are two tables", remedy="Ask for one of them at a time.")
    if quick and tuned:
        raise UserMistakeError(
            "--quick takes stored rates, and --tuned looks for new ones", remedy="Leave out --quick."
        )
    return "tuned" if tuned else "unified" if unified or not quick else "stored"


def _order(
    *,
    setting: str,
    rates: RatePolicy,
    quick: bool,
    methods: str | None,
    ablation: str | None,
    scale: dict[str, int | None],
    out: Path | None,
    processes: int,
) -> Order:
    from dataclasses import replace

    from understudy.bench.order import FULL, QUICK, Order

    if methods is not None and not (names := tuple(filter(None, (name.strip() for name in methods.split(","))))):
        raise UserMistakeError("--methods names nobody", got=repr(methods), expected="names such as opd,tropd")
    given = {name: value for name, value in scale.items() if value is not None}
    place = "-".join(filter(None, ("bench", ablation or "methods", setting, rates, "quick" if quick else "")))
    return Order(
        setting=setting,
        rates=rates,
        methods=names if methods is not None else (),
        ablation=ablation,
        quick=quick,
        scale=replace(QUICK if quick else FULL, **given),
        out=out or Path("runs") / place,
        processes=processes,
        command=_command(),
    )


def _command() -> str:
    return shlex.join(["understudy", *(argument for argument in sys.argv[1:] if argument != "--traceback")])
