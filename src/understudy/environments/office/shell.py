"""``code_exec``: shell and Python, in a sandbox without network, with the workspace as the only place to write."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from pathlib import Path

from understudy.environments.tools.tool import Tool, parameters
from understudy.sandbox import Limits, Outcome, run

_LIBRARIES = Path(sysconfig.get_paths()["purelib"])
"""Of this process: a sandbox has its Python without them, and office work is done with openpyxl and its like."""

_WITH_LIBRARIES = ("env", f"PYTHONPATH={_LIBRARIES}")
_ENDS = {"deadline": "stopped: it took longer than {seconds:g} s", "signal": "stopped by a signal"}


def code_exec(folder: Path, limits: Limits) -> Tool:
    """The tool, for this workspace."""

    def call(arguments: Mapping[str, object]) -> str:
        # Shells read no NUL; what a model wrote around it still runs.
        command = str(arguments["cmd"]).replace("\x00", "")
        outcome = run([*_WITH_LIBRARIES, "bash", "-c", command], folder=folder, limits=limits, readable=[_LIBRARIES])
        return told(outcome, limits)

    return Tool(
        name="code_exec",
        description=(
            "Runs a command in a shell (bash; python3 for Python) in your working folder and gives what it prints. "
            "There is no network. Files stay between calls, processes and variables do not. "
            f"A command may take {limits.wall_seconds:g} seconds."
        ),
        parameters=parameters({"cmd": "the command, or several lines of them"}),
        call=call,
    )


def told(outcome: Outcome, limits: Limits) -> str:
    """What a program printed, and how it ended where that is not well."""
    parts = [outcome.stdout.rstrip("\n")]
    parts += [f"[stderr]\n{outcome.stderr.rstrip(chr(10))}"] if outcome.stderr.strip() else []
    if outcome.ended == "exit":
        parts += [f"[exit status {outcome.exit_status}]"] if outcome.exit_status else []
    elif outcome.ended == "limit":
        parts.append(f"[stopped: it used too much ({outcome.reason})]")
    else:
        parts.append(f"[{_ENDS[outcome.ended].format(seconds=limits.wall_seconds)}]")
    return "\n".join(part for part in parts if part)
