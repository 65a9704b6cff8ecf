"""Where a watcher listens, what it shows, and what it refuses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import UserMistakeError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """Of one watcher.

    Args:
        folders: runs, or folders of runs; nothing outside them is read.
        host, port: where it listens; port 0 takes a free one. allow_remote: needed for a host that others can reach.
    Raises:
        UserMistakeError: a folder is missing, or the host is not this machine's own and nobody allowed it.
    """

    folders: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False

    def __post_init__(self) -> None:
        for folder in self.folders:
            if not folder.is_dir():
                raise UserMistakeError(
                    f"{folder} is no folder",
                    got="a file" if folder.exists() else "nothing there",
                    expected="a run's folder, or one with runs in it, such as runs",
                )
        if not 0 <= self.port <= 65535:
            raise UserMistakeError("--port is out of range", got=self.port, expected="0 to 65535")
        if not self.is_local and not self.allow_remote:
            raise UserMistakeError(
                f"--host {self.host} lets other machines read every run in these folders",
                got="prompts, completions, recipes and figures without a password, for whoever reaches the port",
                remedy="Leave out --host and use an SSH tunnel, or add --allow-remote if that is what you want.",
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK

    def answers_to(self, host: str) -> bool:
        """Whether a request that names this host is meant for us.

        A page of a stranger can make a browser ask for its own name at our address (DNS rebinding), but it cannot make
        it name an address; so addresses pass, and of names only ``localhost`` and our own.

        >>> settings = Settings(())
        >>> [settings.answers_to(host) for host in ("127.0.0.1:80", "[::1]:80", "localhost", "evil.example:80", "")]
        [True, True, True, False, False]
        """
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        name = name.lower().rstrip(".")
        if name in ("localhost", self.host.lower()):
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not self.is_local
