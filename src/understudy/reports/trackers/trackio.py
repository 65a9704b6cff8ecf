"""Trackio: kept in its own folder on this machine, or sent where its environment variables say."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from understudy.errors import UnderstudyError
from understudy.reports.trackers.tracked_run import PROJECT, TrackedRun


class Trackio:
    """A trackio run, known by the run's name and id: names alone need not differ.

    Where its server does not answer it keeps the figures in its folder, and sends them at the beginning of another run.
    """

    def __init__(self, run: TrackedRun) -> None:
        import trackio  # an extra

        self._trackio = trackio
        project = os.environ.get("TRACKIO_PROJECT") or PROJECT
        with _warnings() as told:
            self._run = trackio.init(
                project=project,
                name=f"{run.name}-{run.id}",
                config=dict(run.config),
                resume="allow",
                embed=False,
            )
        where = _server() or f"trackio show --project {project}"
        self.where = f"{where}, which does not answer yet; they are kept until it does" if told else where

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Hand the figures over; a step that was lost and is done again is there twice."""
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        """Send what is left.

        Raises:
            UnderstudyError: something did not get through.
        """
        with _warnings() as told:
            self._trackio.finish()  # not the run's own: the module would finish it again at the end, and say so
        if told:
            raise UnderstudyError(
                f"{_server() or 'its own folder'} did not take all of them",
                got=told[-1].partition(":")[0].strip("* "),
                remedy="Trackio keeps them, and sends them at the beginning of the next run",
            )


def _server() -> str:
    """Where its variables send the figures, without the token that may stand in the address; empty where nowhere."""
    address = urlsplit(os.environ.get("TRACKIO_SERVER_URL", ""))
    if address.hostname:
        return f"{address.scheme}://{address.hostname}" + (f":{address.port}" if address.port else "")
    return os.environ.get("TRACKIO_SPACE_ID", "")


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What trackio warns of within, which it would print: a list that is filled when the block ends."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    told += [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
