"""Where a watcher listens, what it shows, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from understudy.errors import UserMistakeError
from understudy.host_names import HostNames


@dataclass(frozen=True)
class Settings:
    """Of one watcher.

    Args:
        folders: runs, or folders of runs; nothing outside them is read.
        host, port: where it listens; port 0 takes a free one. allow_remote: needed for a host that others can reach.
        allowed_hosts: further names that a request may call it by.
    Raises:
        UserMistakeError: a folder is missing, or the host is not this machine's own and nobody allowed it.
    """

    folders: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()

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
        return self.names.is_local

    @cached_property
    def names(self) -> HostNames:
        """By which it answers."""
        return HostNames(self.host, self.allowed_hosts)
