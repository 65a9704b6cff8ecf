"""``understudy office new | rows | run | grade``. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from understudy.errors import UserMistakeError
from understudy.grade_cli import grade
from understudy.servers.keys import key_in

if TYPE_CHECKING:
    from understudy.office import Results

office = typer.Typer(
    name="office",
    help="Office tasks: files in, work in a sandbox, files out.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

office.command()(grade)


@office.command()
def new(folder: Annotated[Path, typer.Argument(help="A folder to make.")]) -> None:
    """Make a folder of tasks of your own.

    It has the form, and an example that runs.
    """
    from understudy.office import new_folder

    made = new_folder(folder)
    print(f"{made}/README.md says how a task is written; {made}/example is one.", flush=True)


@office.command()
def rows(
    tasks: Annotated[Path, typer.Argument(help="A folder of tasks.")],
    out: Annotated[Path, typer.Option(help="The file, .jsonl.")],
    only: Annotated[list[str] | None, typer.Option(help="Identifier of a task; may be given again.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
) -> None:
    """Write tasks as a data set, for recipes that train on them."""
    from understudy.build.offices import write_rows

    count = write_rows(tasks, out, only=tuple(only or ()), limit=limit)
    print(f"{count} tasks in {out}", flush=True)


@office.command()
def run(
    tasks: Annotated[Path, typer.Argument(help="A folder of tasks: your own, OfficeBench's, or GDPval's rows.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; the same command goes on there.")],
    model: Annotated[str | None, typer.Option(help="A folder or hub name; with --server, the served name.")] = None,
    server: Annotated[str | None, typer.Option(help="Address of any OpenAI-compatible server.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Identifier of a task; may be given again.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    max_turns: Annotated[int, typer.Option(min=1, help="Of an attempt.")] = 30,
    command_seconds: Annotated[float, typer.Option(min=1, help="That a command may take.")] = 300.0,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus mass.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of a reply.")] = None,
    window: Annotated[int | None, typer.Option(min=64, help="Tokens of context, where a server does not say.")] = None,
    vision: Annotated[bool, typer.Option("--vision", help="The server's model is shown pictures.")] = False,
    search_url: Annotated[str | None, typer.Option(help="Offers web tools: a SearXNG address with {query}.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Tasks at one time; a kill loses so many.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the draws.")] = 0,
    prices: Annotated[Path | None, typer.Option(help="YAML file: MODEL: {input: .., output: ..} a million.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the server's key.")] = None,
    timeout_seconds: Annotated[float, typer.Option(min=1, help="For one answer of a server.")] = 600.0,
    deadline_seconds: Annotated[float, typer.Option(min=0, help="A question is asked again for so long.")] = 300.0,
    name: Annotated[str | None, typer.Option(help="Of the results; else the folder's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Put office tasks to a model.

    Programs judge what they can judge.
    """
    if model is None and server is None:
        raise UserMistakeError("nobody is to do the tasks", expected="--model MODEL or --server URL")
    from understudy.environments.office import OfficeSettings, Web
    from understudy.environments.tools import Rules
    from understudy.office import RunSettings, run_office
    from understudy.office.players import Player
    from understudy.office.prices import price_in
    from understudy.office.seating import Behind, Speaking, local_player, served_player
    from understudy.tasks.office import load_office_tasks
    from understudy.training.progress import display_on

    loaded = load_office_tasks(tasks, only=only or (), limit=limit)
    display = display_on(sys.stderr)
    rules = Rules(max_turns=max_turns)
    speaking = Speaking(temperature, top_p, max_tokens, window, vision, concurrency)
    player: Player
    if server is None:
        player = local_player(str(model), rules, speaking, notice=display.notice)
    else:
        behind = Behind(server, model, key_in(api_key_env), timeout_seconds, deadline_seconds)
        player = served_player(behind, rules, speaking)
    office_settings = OfficeSettings(web=None if search_url is None else Web(search_url))
    settings = RunSettings(
        rules=player.rules,
        office=office_settings.with_seconds(command_seconds),
        seed=seed,
        price=None if prices is None else price_in(prices, player.model),
        told=speaking.to_json(),
    )
    results = run_office(
        loaded.tasks, player, out, settings=settings, display=display, name=name or out.name, broken=loaded.broken
    )
    _show(results, out, as_json=as_json)


def _show(results: Results, out: Path, *, as_json: bool) -> None:
    from understudy.office import summary_of

    summary = summary_of(results)
    if as_json:
        print(json.dumps(summary.to_json()))
        return
    table = Table(box=None, show_header=False)
    for label, value in _rows(summary.to_json()):
        table.add_row(label, value)
    Console(width=120).print(table)
    for one, why in results.missing.items():
        print(f"missing: {one}: {why}", file=sys.stderr)
    print(f"{out}/results.json holds every attempt.", flush=True)


def _rows(figures: dict[str, object]) -> list[tuple[str, str]]:
    score = figures.pop("score")
    rows = [("score", _with_interval(score))] if isinstance(score, dict) else []
    return rows + [
        (name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in figures.items()
        if value is not None
    ]


def _with_interval(score: dict[str, float | None]) -> str:
    mean, low, high = score["mean"], score["low"], score["high"]
    return f"{mean:.4f}" if low is None or high is None else f"{mean:.4f} [{low:.4f}, {high:.4f}]"
