"""How much memory a device has left for this process."""

from __future__ import annotations

from pathlib import Path

import torch

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
# What a control group of version 1 says for "no limit" is a multiple of the page size below 2**63.
_UNLIMITED = 1 << 60


def free_memory(device: torch.device) -> int | None:
    """Bytes; on a CPU the machine's or its control group's, whichever is less; None where nobody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free_host_memory(_PROC, _CGROUPS)


def free_host_memory(proc: Path, cgroups: Path) -> int | None:
    """The same from the files of a Linux kernel below these two folders."""
    found = [value for value in (_available(proc / "meminfo"), *_left_in_groups(proc, cgroups)) if value is not None]
    return min(found, default=None)


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    except (OSError, ValueError, IndexError):
        return None


def _left_in_groups(proc: Path, cgroups: Path) -> list[int]:
    """What is left in the process's own groups and in all above them, of both versions."""
    left = []
    for folder, limit, usage in _groups(proc, cgroups):
        for level in (folder, *folder.parents):
            most, used = _number(level / limit), _number(level / usage)
            if most is not None and used is not None and most < _UNLIMITED:
                left.append(max(0, most - used + _reclaimable(level)))
            if level == cgroups:
                break
    return left


def _groups(proc: Path, cgroups: Path) -> list[tuple[Path, str, str]]:
    try:
        lines = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            found.append((cgroups / path.lstrip("/"), "memory.max", "memory.current"))
        elif "memory" in controllers.split(","):
            folder = cgroups / "memory" / path.lstrip("/")
            found.append((folder, "memory.limit_in_bytes", "memory.usage_in_bytes"))
    return found


def _reclaimable(level: Path) -> int:
    """Files that the kernel keeps in memory and gives up when it is asked for memory."""
    try:
        lines = dict(line.split() for line in (level / "memory.stat").read_text().splitlines())
        return int(lines.get("total_inactive_file", lines.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max": no limit
        return None
