"""``python -m understudy.torchrun OPTIONS -m understudy train ...``: torchrun, without a report of its own at the end.

torchrun ends with status 1 and a traceback of itself whatever its ranks ended with, below what they have said. Here
the end is theirs: their exit status, and a word more only about a rank that was killed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Protocol


class Failure(Protocol):
    """What torchrun knows of a rank that failed: ``exitcode`` is minus the signal's number where one ended it."""

    exitcode: int
    pid: int


def main() -> int:
    """Run torchrun with the arguments of this process; the exit status."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    if "LOGLEVEL" not in os.environ:  # torchrun's own wish to see its log
        logging.disable(logging.ERROR)
    try:
        run(parse_args(None))
    except ChildFailedError as error:
        return status_of(error.failures)
    except SignalException as error:
        return 128 + error.sigval
    return 0


def status_of(failures: Mapping[int, Failure]) -> int:
    """The ranks' own exit status; where one was killed that is said, and the status is as shells have it.

    >>> from types import SimpleNamespace as Ended
    >>> status_of({0: Ended(exitcode=-15, pid=7), 1: Ended(exitcode=2, pid=8)})
    2

    SIGTERM is torchrun's own: it ends the other ranks with it when one has failed.
    """
    killed = {rank: -one.exitcode for rank, one in failures.items() if one.exitcode < 0}
    struck = {rank: number for rank, number in killed.items() if number != signal.SIGTERM}
    own = [one.exitcode for _, one in sorted(failures.items()) if one.exitcode > 0]
    if not own:
        struck = struck or killed
    for rank, number in sorted(struck.items()):
        print(f"understudy: rank {rank} was ended by {_name(number)}", file=sys.stderr, flush=True)
    return 128 + next(iter(struck.values())) if struck else own[0]


def _name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


if __name__ == "__main__":
    sys.exit(main())
