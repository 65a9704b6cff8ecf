"""``understudy watch RUNS...``. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.completions import run_folders


def watch(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Runs, or folders of runs; else runs.", autocompletion=run_folders)
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one and prints it.")] = 0,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A further name that requests may call it by; several times for several.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="With another --host: whoever reaches the port may read all runs."),
    ] = False,
) -> None:
    """Show runs in a browser while they go on.

    Table, overlaid curves, reports, rollouts token by token; read-only.
    """
    from understudy.watching import Settings
    from understudy.watching import watch as serve

    folders = tuple(runs or [Path("runs")])
    settings = Settings(
        folders, host=host, port=port, allow_remote=allow_remote, allowed_hosts=tuple(allowed_host or ())
    )
    serve(settings, open_browser=open_browser)
