"""Two programs that speak to each other, each in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from understudy.sandbox.limits import Limits, Outcome
from understudy.sandbox.means import Isolation
from understudy.sandbox.running import open_pipe, run_between


@dataclass(frozen=True)
class Speaker:
    """One of the two, with the fields of ``run``."""

    command: Sequence[str]
    folder: Path
    limits: Limits
    readable: Sequence[Path] = ()


@dataclass(frozen=True)
class Conversation:
    """What came of both."""

    first: Outcome
    second: Outcome


def converse(first: Speaker, second: Speaker, *, by: Isolation | None = None) -> Conversation:
    """Run both at once, the stdout of each being the stdin of the other; neither can touch the other otherwise.

    So one may judge the other: its exit status is out of the other's reach.

    Raises: as ``run``.
    """
    from_first, to_second = open_pipe()
    from_second, to_first = open_pipe()
    with ThreadPoolExecutor(2) as pool:
        begun = [
            pool.submit(
                run_between,
                speaker.command,
                folder=speaker.folder,
                source=source,
                sink=sink,
                limits=speaker.limits,
                readable=speaker.readable,
                by=by,
            )
            for speaker, source, sink in ((first, from_second, to_second), (second, from_first, to_first))
        ]
        return Conversation(*(one.result() for one in begun))
