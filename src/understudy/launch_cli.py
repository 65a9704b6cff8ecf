"""``understudy launch``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import among, fields
from understudy.completions import recipes as recipe_names
from understudy.errors import UserMistakeError
from understudy.starting import starting

if TYPE_CHECKING:
    from understudy.launching import Layout, Order, Program


def launch(
    recipe: Annotated[
        Path, typer.Argument(help="A YAML file, or a name of `understudy recipes`.", autocompletion=recipe_names)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value, one field each.", autocompletion=fields)
    ] = None,
    ranks: Annotated[int, typer.Option(help="Processes that train, on each machine.")] = 1,
    samplers: Annotated[int, typer.Option(help="Servers that sample from the student, on each machine.")] = 0,
    teachers: Annotated[int, typer.Option(help="Servers of each teacher, on each machine.")] = 0,
    machines: Annotated[int, typer.Option(help="Above 1 prints the commands of each, unless --machine is given.")] = 1,
    machine: Annotated[int | None, typer.Option(help="Start this one's parts: 0 is the first.")] = None,
    hosts: Annotated[str, typer.Option(help="Names of the machines, with commas between them.")] = "",
    serve_with: Annotated[
        str,
        typer.Option(
            help="auto, understudy, vllm or sglang.", autocompletion=among("auto", "understudy", "vllm", "sglang")
        ),
    ] = "auto",
    gpus: Annotated[int | None, typer.Option(min=0, help="Of a machine; else those of this one.")] = None,
    server_gpus: Annotated[int, typer.Option(help="For each server.")] = 1,
    first_port: Annotated[int | None, typer.Option(help="Of the servers; else free ones, or 8100 on several.")] = None,
    rendezvous_port: Annotated[int, typer.Option(help="Where ranks of several machines meet.")] = 29500,
    sampler_options: Annotated[str, typer.Option(help="Added to the samplers' commands.")] = "",
    teacher_options: Annotated[str, typer.Option(help="Added to the teachers' commands.")] = "",
    restarts: Annotated[int, typer.Option(min=0, help="Of each part that fails.")] = 3,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds until every server answers.")] = 900.0,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that a part has to end.")] = 60.0,
    health_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the health page; 0 takes a free one.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Start the servers and ranks of a recipe together.

    They are watched over, and end together.
    """
    with starting():
        from understudy.launching import Order, gpus_here, laid_out
        from understudy.recipe import load_recipe

    order = Order(
        ranks=ranks,
        samplers=samplers,
        teachers=teachers,
        machines=machines,
        hosts=tuple(name.strip() for name in hosts.split(",") if name.strip()),
        program=_program(serve_with),
        gpus=gpus_here() if gpus is None else gpus,
        server_gpus=server_gpus,
        first_port=first_port,
        rendezvous_port=rendezvous_port,
        sampler_options=_words("--sampler-options", sampler_options),
        teacher_options=_words("--teacher-options", teacher_options),
    )
    _check_machine(machine, order)
    layout = laid_out(load_recipe(recipe, overrides or []), recipe, overrides or [], order)
    if dry_run or (machines > 1 and machine is None):
        _show(layout, as_json=as_json)
        return
    from understudy.launching import Bounds, run_launch

    bounds = Bounds(restarts=restarts, deadline_seconds=deadline, grace_seconds=grace)
    for notice in layout.notices:
        _say(notice)
    ended = run_launch(layout, machine=machine or 0, bounds=bounds, resume=resume, health_port=health_port, say=_say)
    if as_json:
        print(json.dumps(ended.to_json()), flush=True)
    if ended.status and ended.status > 128:
        _say(f"stopped after {ended.step} of {ended.steps} steps; every part has ended. Go on with --resume.")
    raise typer.Exit(ended.status)


def _program(text: str) -> Program | None:
    from understudy.launching import PROGRAMS

    if text == "auto":
        return None
    for program in PROGRAMS:
        if program == text:
            return program
    raise UserMistakeError("--serve-with has no such program", got=text, expected="auto, " + ", ".join(PROGRAMS))


def _words(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserMistakeError(f"{option} cannot be read", got=text, expected="words as a shell has them") from error


def _check_machine(machine: int | None, order: Order) -> None:
    if machine is None:
        return
    if not 0 <= machine < order.machines:
        raise UserMistakeError(
            "--machine is out of range",
            got=machine,
            expected=f"0 to {order.machines - 1} for --machines {order.machines}",
        )
    if order.machines > 1 and not order.hosts:
        raise UserMistakeError(
            "--machine needs the names of all machines, by which they find each other",
            expected=f"--hosts with {order.machines} names",
        )


def _show(layout: Layout, *, as_json: bool) -> None:
    from understudy.launching import commands_of

    print(json.dumps(layout.to_json()) if as_json else commands_of(layout).rstrip(), flush=True)


def _say(text: str) -> None:
    from understudy.training.plain_text import printable  # logs quote data, file names, and model text

    print(printable(text), file=sys.stderr, flush=True)
