"""A server from its socket to its end: bound first, announced when it answers, stopped without losing what runs."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn

from understudy.listening import bounded_config, listening_socket
from understudy.models.load import LoadedModel
from understudy.recipe import Engine, LocalEngine
from understudy.serving.app import app_of
from understudy.serving.resident import Resident
from understudy.serving.service import start_service
from understudy.serving.settings import Settings
from understudy.written_whole import write_whole

_BACKLOG = 2048
_MORE_CONNECTIONS = 256
"""Beyond those that wait for an answer: idle ones, and those that ask how the server is."""


class ScoringServer(uvicorn.Server):
    """One server on one socket.

    On SIGTERM, SIGINT or ``stop`` it refuses those who wait, ends what runs, and returns; a second signal ends it now.

    Args:
        loaded: the model. settings: where and how. engine: sizes of batches. listening: a bound socket; None binds one.
    Raises:
        UserMistakeError: the address is in use, or not of this machine.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        settings: Settings,
        engine: Engine | None = None,
        *,
        listening: socket.socket | None = None,
    ) -> None:
        engine = engine or LocalEngine()
        resident = Resident(loaded, settings, engine)
        self.socket = listening or bound_socket(settings)
        self.settings = settings
        self.service = start_service(resident, settings, engine)
        app, connections = app_of(self.service), settings.max_waiting + _MORE_CONNECTIONS
        super().__init__(bounded_config(app, connections=connections, log_config=None, backlog=_BACKLOG))

    @property
    def url(self) -> str:
        """Where clients find it."""
        return address_of(self.socket)

    def serve_until_stopped(self) -> None:
        """Answer until a signal or ``stop``; returns once everything that ran has been answered."""
        try:
            self.run(sockets=[self.socket])
        finally:
            self.service.line.close()
            self.service.worker.join(timeout=None if not self.force_exit else 1.0)
            if self.settings.ready_file is not None:
                with suppress(OSError):
                    self.settings.ready_file.unlink()
            self.socket.close()

    def stop(self) -> None:
        """Stop from another thread."""
        self.service.line.close()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  (uvicorn's form)
        """Take a signal; unlike uvicorn's own, the end it brings is an ordinary one."""
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse those who wait, then let what runs be answered."""
        self.service.line.close()
        await super().shutdown(sockets=sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets=sockets)
        if self.settings.ready_file is not None and self.started:
            announce = partial(write_whole, remedy="Name another --ready-file.")
            await asyncio.to_thread(announce, self.settings.ready_file, self.url + "\n")


def serve(loaded: LoadedModel, settings: Settings, engine: Engine, listening: socket.socket) -> None:
    """Serve in the foreground until a signal comes; prints the address once it is known."""
    server = ScoringServer(loaded, settings, engine, listening=listening)
    resident = server.service.resident
    print(f"{resident.name} ({resident.dtype}, {resident.loaded.device.type}) at {server.url}", flush=True)
    if not settings.is_local and settings.api_key is None:
        print("understudy: anyone who can reach this address can use the server; give --api-key-env", file=sys.stderr)
    server.serve_until_stopped()


def bound_socket(settings: Settings) -> socket.socket:
    """A socket at the settings' address, listening; done before a model is loaded, so that mistakes cost nothing.

    Raises:
        UserMistakeError: the port is in use, or the host is no address of this machine.
    """
    return listening_socket(settings.host, settings.port, backlog=_BACKLOG, who="server")


def address_of(listening: socket.socket) -> str:
    """The URL of a bound socket; a wildcard address is shown as this machine's own."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
