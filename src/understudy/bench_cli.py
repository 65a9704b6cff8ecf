"""``understudy bench methods | agents | variance | speed | memory``. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import among, listed
from understudy.completions import methods as method_names
from understudy.cost_cli import command_given, memory, speed
from understudy.errors import UserMistakeError
from understudy.starting import starting

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
    setting: Annotated[
        str,
        typer.Option(
            help="matched, mismatched, merge or strong-to-weak.",
            autocompletion=among("matched", "mismatched", "merge", "strong-to-weak"),
        ),
    ] = "matched",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer methods, seeds and problems; stored rates.")] = False,
    unified: Annotated[bool, typer.Option("--unified", help="One learning rate for all (the default).")] = False,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Each method's rate from a grid, on a validation split.")
    ] = False,
    methods: Annotated[
        str | None, typer.Option(help="Names, with commas between them.", autocompletion=listed(method_names))
    ] = None,
    ablation: Annotated[
        str | None, typer.Option(help="The rows of a paper's ablation: tropd.", autocompletion=among("tropd"))
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each method; 5, or 3 with --quick.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of each run; else the setting's.")] = None,
    problems: Annotated[int | None, typer.Option(min=1, max=1000, help="Examined in each domain.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; finished runs in it are not repeated.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs side by side, a thread each.")] = 2,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Compare methods on the testbed, over several seeds.

    All have the same start, data and budget.
    """
    with starting():
        from understudy.bench.methods import compare_methods
        from understudy.bench.outcome import section_of, text_of
        from understudy.training.progress import display_on, shown

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
    with shown(display_on(sys.stderr)) as display:
        outcome = compare_methods(order, display=display)
    if as_json:
        print(json.dumps(outcome.to_json()), flush=True)
    elif as_markdown:
        print(section_of(outcome), end="", flush=True)
    else:
        print(f"{text_of(outcome)}\n\n{order.out}/report.html shows the curves, results.json has every figure.")


@bench.command()
def agents(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer steps, seeds and games.")] = False,
    drift: Annotated[bool, typer.Option("--drift", help="OPD under two teachers: one never saw a mistake.")] = False,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Each method's rate from a grid, on validation games.")
    ] = False,
    methods: Annotated[str | None, typer.Option(help="Names of contenders, with commas between them.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each; 5, or 2 with --quick.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of each run; 20, or 8 with --quick.")] = None,
    games: Annotated[int | None, typer.Option(min=1, max=1000, help="Unseen games that everybody plays.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; finished runs in it are not repeated.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs side by side, a thread each.")] = 2,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Compare methods on many turns, in the tiny house.

    All have the same start, games and budget, over several seeds.
    """
    from dataclasses import replace

    from understudy.bench.agents.compare import Order, compare_agents
    from understudy.bench.agents.contenders import DRIFT, chosen
    from understudy.bench.agents.house import QUICK, UNSCHOOLED, Scale
    from understudy.bench.agents.outcome import section_of, text_of
    from understudy.training.progress import display_on, shown

    if drift and methods is not None:
        raise UserMistakeError("--drift and --methods both say who takes part", remedy="Give one of them.")
    given = {"seeds": seeds, "steps": steps, "games": games}
    parts = ("bench-agents", "drift" if drift else "", "tuned" if tuned else "", "quick" if quick else "")
    place = "-".join(filter(None, parts))
    order = Order(
        contenders=DRIFT if drift else chosen(_named(methods)),
        tuned=tuned,
        scale=replace(QUICK if quick else Scale(), **{name: value for name, value in given.items() if value}),
        out=out or Path("runs") / place,
        processes=processes,
        command=command_given(),
        **({"house": UNSCHOOLED} if drift else {}),
    )
    with shown(display_on(sys.stderr)) as display:
        outcome = compare_agents(order, display=display)
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
    """Show what the discount of a policy gradient costs.

    Bias and variance against discount and length, by exact enumeration.
    """
    from understudy.bench.variance import measure, section_of, text_of

    found = measure(longest=longest, num_chains=chains)
    if as_json:
        print(json.dumps(found.to_json()), flush=True)
    else:
        print(section_of(found, command=command_given()) if as_markdown else text_of(found), flush=True)


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

    if methods is not None and ablation is not None:
        raise UserMistakeError("--methods and --ablation both say what is compared", remedy="Give one of them.")
    given = {name: value for name, value in scale.items() if value is not None}
    place = "-".join(filter(None, ("bench", ablation or "methods", setting, rates, "quick" if quick else "")))
    return Order(
        setting=setting,
        rates=rates,
        methods=_named(methods),
        ablation=ablation,
        quick=quick,
        scale=replace(QUICK if quick else FULL, **given),
        out=out or Path("runs") / place,
        processes=processes,
        command=command_given(),
    )


def _named(methods: str | None) -> tuple[str, ...]:
    """The names in an option; none where it was not given."""
    if methods is None:
        return ()
    names = tuple(filter(None, (name.strip() for name in methods.split(","))))
    if not names:
        raise UserMistakeError("--methods names nobody", got=repr(methods), expected="names such as opd,tropd")
    return names
