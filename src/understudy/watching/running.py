"""A watcher from its socket to its end."""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser

import uvicorn

from understudy.listening import bounded_config, listening_socket
from understudy.watching.app import app_of
from understudy.watching.settings import Settings

_AT_ONCE = 64
"""Connections; the next is answered 503."""


def watch(settings: Settings, *, open_browser: bool = False) -> None:
    """Serve in the foreground until a signal comes; prints the address.

    Raises:
        UserMistakeError: the address is in use, or not of this machine.
    """
    listening = bound_socket(settings)
    try:
        url = address_of(listening)
        print(f"{', '.join(map(str, settings.folders))} at {url} (Ctrl-C ends)", flush=True)
        if not settings.is_local:
            print("understudy: whoever can reach this address can read every run in these folders", file=sys.stderr)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [url]).start()
        server_of(settings).run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # that is how it ends
    finally:
        listening.close()


def server_of(settings: Settings) -> uvicorn.Server:
    """The server, not yet running."""
    return uvicorn.Server(
        bounded_config(
            app_of(settings),
            connections=_AT_ONCE,
            log_config=None,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
        )
    )


def bound_socket(settings: Settings) -> socket.socket:
    """A socket at the settings' address, listening.

    Raises:
        UserMistakeError: the port is in use, or the host is no address of this machine.
    """
    return listening_socket(settings.host, settings.port, backlog=_AT_ONCE, who="watcher")


def address_of(listening: socket.socket) -> str:
    """The URL of a bound socket; a wildcard address is shown as this machine's own."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
