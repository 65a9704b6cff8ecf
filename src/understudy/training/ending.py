"""How a run ended before its time: one small file in its folder, for those who look at it later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from understudy.errors import UnderstudyError
from understudy.training.durable import refused_by_disk, write_json

ENDING = "ending.json"
"""In a run's folder: absent while it runs, and where it was killed or came to its end."""


@contextmanager
def ending_told(run: Path) -> Iterator[None]:
    """Forget how an earlier session ended; keep what error or interruption ends this one, and let it pass."""
    with refused_by_disk(run / ENDING):
        (run / ENDING).unlink(missing_ok=True)
    try:
        yield
    except KeyboardInterrupt:
        tell_ending(run, state="stopped", why="interrupted")
        raise
    except Exception as error:
        # Of a stranger's error only its kind: what it says may quote anything.
        tell_ending(run, state="failed", why=error.what if isinstance(error, UnderstudyError) else type(error).__name__)
        raise


def tell_ending(run: Path, *, state: str, why: str) -> None:
    """Write the file; a disk that refuses costs nothing else.

    Args:
        state: ``stopped`` or ``failed``. why: a few words.
    """
    with suppress(UnderstudyError):
        write_json(run / ENDING, {"state": state, "why": why})
