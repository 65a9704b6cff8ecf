"""``understudy bench speed | memory``. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.errors import UserMistakeError

if TYPE_CHECKING:
    from understudy.bench.speed.comparing import Order

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a section for docs/performance.md.")]
Rounds = Annotated[int, typer.Option(help="Fresh processes of each setting, taking turns.")]
Threads = Annotated[int, typer.Option(help="Of both sides.")]
Limit = Annotated[float, typer.Option(help="Minutes after which one process is given up.")]
AgainstTrl = Annotated[
    str | None, typer.Option(metavar="PYTHON", help="An interpreter that has trl; `make bench` makes one.")
]


@dataclass(frozen=True)
class _Forms:
    """How a result is told: to programs, in a terminal, in the documentation."""

    json: Callable[[], Any]
    text: Callable[[], str]
    section: Callable[[str], str]

    def show(self, *, as_json: bool, as_markdown: bool) -> None:
        if as_json:
            print(json.dumps(self.json()), flush=True)
        else:
            print(self.section(command_given()) if as_markdown else self.text(), flush=True)


def speed(
    sizes: Annotated[str, typer.Option(help="Of S, SV, LT, B32, B152, M, mini, with commas.")] = "S,SV,B32",
    linear: Annotated[bool, typer.Option("--linear", help="Cost in tokens instead: 1k to 32k a step.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write one step for Perfetto or Chrome instead.")] = None,
    settings: Annotated[str | None, typer.Option(help="Of ours: opd-float32, gkd-bfloat16, ...")] = None,
    against_trl: AgainstTrl = None,
    trl_settings: Annotated[str | None, typer.Option(help="Of TRL's; else all are tried, the best taken.")] = None,
    rounds: Rounds = 3,
    steps: Annotated[int, typer.Option(help="Of each process, after one that is thrown away.")] = 4,
    threads: Threads = 1,
    clock: Annotated[str, typer.Option(help="wall, or cpu on a machine with other work.")] = "wall",
    limit: Limit = 30.0,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Time a training step by phase.

    As shares of what this machine can do, alone or against TRL.
    """
    from understudy.bench.speed.workload import sizes_named

    names = sizes_named(sizes)
    scale = {"rounds": rounds, "steps": steps, "threads": threads}
    order = _order(scale, clock=clock, python=against_trl, settings=(settings, trl_settings), limit=limit)
    _check_one_table(linear=linear, trace=trace, against_trl=against_trl)
    if trace is not None:
        from understudy.bench.speed.tracing import trace_step

        print(trace_step(names[0], order, trace), flush=True)
    elif linear:
        _growth(names[0], order).show(as_json=as_json, as_markdown=as_markdown)
    else:
        _compare(names, order, as_json=as_json, as_markdown=as_markdown)


def memory(
    sizes: Annotated[str, typer.Option(help="Whole steps of S, SV, LT, B32, B152, M, mini.")] = "S,B32",
    rows: Annotated[str, typer.Option(help="Tokens of the loss alone; empty leaves it out.")] = "512,2048,8192",
    long: Annotated[str, typer.Option(help="Tokens of one sequence; empty leaves it out.")] = "4096,8192,16384,32768",
    against_trl: AgainstTrl = None,
    rounds: Rounds = 1,
    threads: Threads = 1,
    limit: Limit = 30.0,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Measure peak memory.

    Of the loss by tokens, of one long sequence, of whole steps; alone or against TRL.
    """
    from understudy.bench.speed import memory as memories
    from understudy.bench.speed.settings import MEMORY_PEERS
    from understudy.bench.speed.workload import sizes_named
    from understudy.training.progress import display_on, shown

    scale = {"rounds": rounds, "steps": 1, "threads": threads}
    peers = (None, ",".join(MEMORY_PEERS))
    order = _order(scale, clock="wall", python=against_trl, settings=peers, limit=limit)
    extent = memories.Extent(_counts(rows, option="--rows", least=1), _counts(long, option="--long", least=32))
    with shown(display_on(sys.stderr)) as display:
        found = memories.measure_memory(sizes_named(sizes), order, display, extent=extent)
    forms = _Forms(
        found.to_json, lambda: memories.text_of(found), lambda command: memories.section_of(found, command=command)
    )
    forms.show(as_json=as_json, as_markdown=as_markdown)
    raise typer.Exit(int(found.has_failed))


def _compare(names: list[str], order: Order, *, as_json: bool, as_markdown: bool) -> None:
    from understudy.bench.speed import outcome as speeds
    from understudy.training.progress import display_on, shown

    with shown(display_on(sys.stderr)) as display:
        found = speeds.measure_speed(names, order, display)
    forms = _Forms(
        found.to_json, lambda: speeds.text_of(found), lambda command: speeds.section_of(found, command=command)
    )
    forms.show(as_json=as_json, as_markdown=as_markdown)
    raise typer.Exit(int(found.has_failed))


def _growth(name: str, order: Order) -> _Forms:
    from understudy.bench.speed import linear as growing
    from understudy.training.progress import display_on, shown

    with shown(display_on(sys.stderr)) as display:
        found = growing.measure_growth(name, order, display)
    return _Forms(
        lambda: [one.to_json() for one in found],
        lambda: growing.text_of(found),
        lambda command: growing.section_of(found, command=command),
    )


def _check_one_table(*, linear: bool, trace: Path | None, against_trl: str | None) -> None:
    """A trace and a growth are ours alone."""
    if linear and trace is not None:
        raise UserMistakeError("--linear and --trace are two things", remedy="Ask for one of them at a time.")
    if (linear or trace is not None) and against_trl is not None:
        raise UserMistakeError("--linear and --trace measure Understudy alone", remedy="Leave out --against-trl.")


def _counts(text: str, *, option: str, least: int) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) >= least for part in parts):
        raise UserMistakeError(
            f"{option} takes whole numbers with commas between them", got=repr(text), expected=f"each at least {least}"
        )
    return tuple(int(part) for part in parts)


def _order(
    scale: dict[str, int], *, clock: str, python: str | None, settings: tuple[str | None, str | None], limit: float
) -> Order:
    from understudy.bench.speed.comparing import Order
    from understudy.bench.speed.machine import interpreter_named
    from understudy.bench.speed.settings import OUR_SETTINGS, PEER_SETTINGS, settings_named

    for name, value in scale.items():
        if value < 1:
            raise UserMistakeError(f"--{name} must be at least 1", got=value)
    if clock not in ("wall", "cpu"):
        raise UserMistakeError("there is no such clock", got=repr(clock), expected="wall or cpu")
    if limit <= 0:
        raise UserMistakeError("--limit must be more than 0 minutes", got=limit)
    mine, theirs = settings
    return Order(
        **scale,
        clock="cpu" if clock == "cpu" else "wall",
        peer_python=None if python is None else interpreter_named(python),
        settings=OUR_SETTINGS if mine is None else settings_named(mine, OUR_SETTINGS, option="--settings"),
        peer_settings=() if theirs is None else settings_named(theirs, [*PEER_SETTINGS], option="--trl-settings"),
        limit_seconds=60 * limit,
    )


def command_given() -> str:
    """The command as it was typed, for documents that say how their figures came about."""
    return shlex.join(["understudy", *(argument for argument in sys.argv[1:] if argument != "--traceback")])
