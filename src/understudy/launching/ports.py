"""Ports of servers: free ones, and the same again when a run goes on."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from understudy.errors import UserMistakeError

_HIGHEST = 65535


def free_ports(names: Sequence[str], *, remembered: Path | None = None) -> dict[str, int]:
    """A free port of this machine for each name; those in the file ``remembered``, as long as nobody has taken them.

    A recipe names its servers by their ports, so a run that goes on must find them where they were.
    """
    before = _read(remembered)
    ports: dict[str, int] = {}
    with ExitStack() as held:  # all at one time, so that no two are the same
        for name in names:
            one = held.enter_context(_bound(before.get(name, 0)))
            ports[name] = one.getsockname()[1]
    return ports


def ports_from(first: int, names: Sequence[str]) -> dict[str, int]:
    """Consecutive ports; raises UserMistakeError where they do not exist."""
    last = first + len(names) - 1
    if not 1 <= first <= last <= _HIGHEST:
        raise UserMistakeError(
            "--first-port is out of range",
            got=first,
            expected=f"1 to {_HIGHEST - len(names) + 1} for {len(names)} ports",
        )
    return {name: first + number for number, name in enumerate(names)}


def _read(file: Path | None) -> dict[str, int]:
    try:
        found = json.loads(file.read_text()) if file is not None else {}
    except (OSError, ValueError):
        return {}
    return {name: port for name, port in found.items() if isinstance(port, int)} if isinstance(found, dict) else {}


def _bound(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind(("127.0.0.1", port if 0 < port <= _HIGHEST else 0))
    except OSError:
        one.bind(("127.0.0.1", 0))
    return one
