"""What all processes of a sandbox use together, which no limit of a single process bounds."""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_DISK_EVERY_SECONDS = 0.25
_WORKSPACE = "/workspace"


class Watch:
    """Looks, when asked, whether a limit is broken.

    Args:
        child: the program's process. limits: the fields of ``limits.Limits``. started: on the monotonic clock.
    """

    def __init__(self, child: int, limits: Mapping[str, Any], *, started: float) -> None:
        self._child, self._limits, self._started = child, limits, started
        self._disk_due = started + _DISK_EVERY_SECONDS
        self._hidden_before: set[int] = set()

    def broken(self) -> dict[str, Any] | None:
        """How it ends now, in the words of ``limits.Outcome``; None while all is well."""
        now = time.monotonic()
        if now - self._started > self._limits["wall_seconds"]:
            return {"ended": "deadline"}
        reason = self._processes()
        if not reason and now > self._disk_due:
            reason = self._disk()
            # a large folder is counted less often, so that counting stays a small part of the work
            self._disk_due = time.monotonic() + max(_DISK_EVERY_SECONDS, 5 * (time.monotonic() - now))
        return {"ended": "limit", "reason": reason} if reason else None

    def has_used_its_cpu(self) -> bool:
        """Whether the processes that have been reaped used all the processor time there is."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime >= self._limits["cpu_seconds"]

    def _processes(self) -> str:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, pages, threads = used.ru_utime + used.ru_stime, 0, 0
        found = list(processes())
        for fields in found:
            # its own, and what it collected of those it waited for: many short programs are no free one
            seconds += sum(map(int, fields[11:15])) / _TICKS
            threads += int(fields[17])
            pages += int(fields[21])
        if threads > self._limits["num_processes"]:
            return "processes"
        if seconds > self._limits["cpu_seconds"]:
            return "cpu"
        limit = self._limits["memory_bytes"]
        if pages * _PAGE > limit and sum(proportional(int(fields[-1])) for fields in found) > limit:
            return "memory"
        return ""

    def _disk(self) -> str:
        num_files, size = 0, 0
        try:
            for entry in files(_WORKSPACE):
                num_files += 1
                size += entry.st_blocks * 512
                if num_files > self._limits["num_files"]:
                    return "files"
        except OSError:
            return "hidden"
        deleted, hidden = open_and_deleted()
        again = hidden & self._hidden_before
        self._hidden_before = hidden
        if again:
            return "hidden"
        return "disk" if size + sum(deleted.values()) > self._limits["folder_bytes"] else ""


def processes() -> Iterator[list[str]]:
    """The fields of ``/proc/N/stat`` after the name, and N at the end, of all but this process."""
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    yield [*file.read().rpartition(")")[2].split(), name]
            except OSError:
                continue  # it has ended


def proportional(process: int) -> int:
    """Resident bytes, a page that many share counted in parts; all of its pages where that is not to be had."""
    try:
        with open(f"/proc/{process}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def files(folder: str) -> Iterator[os.stat_result]:
    """Everything below a folder, links not followed; a directory closed to its owner is opened again.

    Raises OSError where it is deeper than a path can say.
    """
    waiting = [folder]
    while waiting:
        name = waiting.pop()
        try:
            with _opened(name) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    yield found
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue  # deleted meanwhile


def _opened(name: str) -> Any:
    try:
        return os.scandir(name)
    except PermissionError:
        os.chmod(name, 0o700)
        return os.scandir(name)


def open_and_deleted() -> tuple[dict[tuple[int, int], int], set[int]]:
    """Bytes of files that are open and in no directory, by device and number; processes that cannot be looked into."""
    found: dict[tuple[int, int], int] = {}
    hidden: set[int] = set()
    for fields in processes():
        process = int(fields[-1])
        if fields[0] in "ZX":
            continue
        try:
            for name in os.listdir(f"/proc/{process}/fd"):
                try:
                    file = os.stat(f"/proc/{process}/fd/{name}")
                except OSError:
                    continue
                if file.st_nlink == 0 and stat.S_ISREG(file.st_mode):
                    found[file.st_dev, file.st_ino] = file.st_blocks * 512
        except PermissionError:
            hidden.add(process)
        except OSError:
            continue
    return found, hidden
