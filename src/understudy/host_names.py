"""By which names a server answers: a stranger's page can make a browser ask for its own name at our address."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from understudy.errors import UserMistakeError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?")


@dataclass(frozen=True)
class HostNames:
    """The names of one server, against DNS rebinding.

    A stranger's page can have its own name lead to our address, but it cannot have a browser name an address; so
    addresses pass, and of names only ``localhost``, our own, and those that somebody allowed.

    Args:
        host: where it listens. allowed: further names, without port, such as that of a proxy before it.
    Raises:
        UserMistakeError: an allowed name is no name.

    >>> names = HostNames("127.0.0.1", ("gpu.example",))
    >>> [names.include(host) for host in ("127.0.0.1:80", "[::1]:80", "gpu.example:80", "evil.example", "")]
    [True, True, True, False, False]
    """

    host: str
    allowed: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in self.allowed:
            if not _NAME.fullmatch(name.lower()):
                raise UserMistakeError(
                    "--allowed-host is no name", got=repr(name), expected="a name without scheme, port or star"
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in _LOOPBACK

    def include(self, header: str) -> bool:
        """Whether a request with this ``Host`` header is meant for this server."""
        name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and not header.endswith("]") else header
        name = name.lower().rstrip(".")
        if name in self._known:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not self.is_local

    @cached_property
    def _known(self) -> frozenset[str]:
        own = () if self.is_local else (socket.gethostname(), socket.getfqdn())
        return frozenset(name.lower().rstrip(".") for name in ("localhost", self.host, *own, *self.allowed))
