"""The retrieval server from its socket to its end."""

from __future__ import annotations

import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from understudy.host_names import HostNames
from understudy.listening import BoundedBody, OwnNames, bounded_config

MAX_BODY_BYTES = 8 << 20
MAX_CONNECTIONS = 512
"""4,096 queries are a few hundred kilobytes, and each environment has one connection."""


class RetrievalServer(uvicorn.Server):
    """One application on one socket; SIGTERM or SIGINT ends it once what runs is answered, a second one at once.

    Args:
        app: to serve. listening: a bound socket, closed at the end. names: by which it answers.
    """

    def __init__(self, app: FastAPI, listening: socket.socket, *, names: HostNames) -> None:
        guarded = OwnNames(BoundedBody(app, most_bytes=MAX_BODY_BYTES), names)
        super().__init__(bounded_config(guarded, connections=MAX_CONNECTIONS))
        self._listening = listening

    def serve_until_stopped(self) -> None:
        """Answer until a signal comes."""
        try:
            self.run(sockets=[self._listening])
        finally:
            self._listening.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  (uvicorn's form)
        """Take a signal; unlike uvicorn's own, it is not raised again, so that whoever serves can tidy up."""
        self.force_exit, self.should_exit = self.should_exit, True
