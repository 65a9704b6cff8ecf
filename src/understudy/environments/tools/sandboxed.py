"""A shell and a Python as tools, in sandboxes; and episodes in which an agent may compute before it answers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.environments.tools.tool import Tool, ToolError, parameters
from understudy.environments.tools.toolbox import Ending, Judgement, Toolbox
from understudy.protocols import Task
from understudy.sandbox import Limits, Outcome, isolation, libraries, run
from understudy.tasks.verdicts import Verifier

_ENDS = {"deadline": "stopped: it took longer than {seconds:g} s", "signal": "stopped by a signal"}
_WHERE = "Files in the working folder stay between calls; processes and variables do not. There is no network."
_LONGEST_COMMAND = 100_000  # Linux takes 128 KiB for one argument


def shell_tool(
    folder: Path, limits: Limits, *, name: str = "shell", argument: str = "command", has_packages: bool = False
) -> Tool:
    """Runs commands of ``bash`` in a folder.

    Args:
        folder: where, and the one place that can be written. limits: of each call. name, argument: as they are called.
        has_packages: whether Python has the packages of this process.
    """

    def call(arguments: Mapping[str, object]) -> str:
        # Shells read no NUL; what a model wrote around it still runs.
        command = str(arguments[argument]).replace("\x00", "")
        if len(command.encode(errors="replace")) > _LONGEST_COMMAND:
            raise ToolError("the command is too long", expected=f"at most {_LONGEST_COMMAND} bytes")
        return told(_run(["bash", "-c", command], "", folder=folder, limits=limits, has_packages=has_packages), limits)

    return Tool(
        name=name,
        description=(
            f"Runs a command in a shell (bash; python3 for Python) and gives what it prints. {_WHERE} "
            f"A command may take {limits.wall_seconds:g} seconds."
        ),
        parameters=parameters({argument: "the command, or several lines of them"}),
        call=call,
    )


def python_tool(folder: Path, limits: Limits, *, name: str = "python", has_packages: bool = False) -> Tool:
    """Runs Python programs in a folder, with the arguments of ``shell_tool``."""

    def call(arguments: Mapping[str, object]) -> str:
        return told(
            _run(["python3", "-"], str(arguments["code"]), folder=folder, limits=limits, has_packages=has_packages),
            limits,
        )

    return Tool(
        name=name,
        description=(
            f"Runs a Python program and gives what it prints; print what you want to see. {_WHERE} "
            f"A program may take {limits.wall_seconds:g} seconds."
        ),
        parameters=parameters({"code": "the whole program"}),
        call=call,
    )


def _run(command: list[str], stdin: str, *, folder: Path, limits: Limits, has_packages: bool) -> Outcome:
    if not has_packages:
        return run(command, folder=folder, stdin=stdin, limits=limits)
    found = ["env", f"PYTHONPATH={':'.join(map(str, libraries()))}", *command]
    return run(found, folder=folder, stdin=stdin, limits=limits, readable=libraries())


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


@dataclass(frozen=True)
class ComputingBoxes:
    """Opens episodes for ``ToolUse``: the agent computes in a new, empty folder, and answers by a turn without a call.

    Args:
        verify: judges that answer as it would a completion; None for tasks that nothing grades.
        limits: of each call. offered: the tools made for each episode's folder; None is Python and a shell.
    Raises:
        SandboxUnavailableError: nothing here can isolate a program.
    """

    verify: Verifier | None
    limits: Limits = Limits()  # noqa: RUF009  (frozen)
    offered: Callable[[Path, Limits], tuple[Tool, ...]] | None = None

    def __post_init__(self) -> None:
        isolation()

    def __call__(self, task: Task, seed: int) -> Toolbox:  # noqa: ARG002 (nothing here is random)
        """One episode."""
        holder = tempfile.TemporaryDirectory(prefix="understudy-computing-", ignore_cleanup_errors=True)
        offered = self.offered or (lambda folder, limits: (python_tool(folder, limits), shell_tool(folder, limits)))
        return Toolbox(
            tools=offered(Path(holder.name), self.limits),
            finish=None,
            judge=lambda ending: self._judged(task, ending),
            is_graded=self.verify is not None,
            close=holder.cleanup,
        )

    def _judged(self, task: Task, ending: Ending) -> Judgement:
        if self.verify is None:
            return Judgement()
        if ending.why != "finished":
            return Judgement(reward=0.0, correct=False, info={"parsed": None})
        found = self.verify(ending.last_text, task.columns)
        return Judgement(reward=found.reward, correct=found.correct, info={"parsed": found.parsed})
