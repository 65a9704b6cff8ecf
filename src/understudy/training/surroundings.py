"""What a run's numbers depend on besides its recipe: versions, commit, seed, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

_PACKAGES = ("understudy", "torch", "transformers", "peft", "safetensors", "tokenizers", "numpy", "datasets")


def describe(*, seed: int) -> dict[str, object]:
    """The content of ``environment.json``: no host name, no path, no secret."""
    return {
        "seed": seed,
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": _commit(),
        "hardware": {
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        },
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of this source file, where it stands in a git checkout."""
    here = Path(__file__).resolve()
    try:
        tracked = _git("ls-files", "--error-unmatch", here.name, folder=here.parent)
        return _git("rev-parse", "HEAD", folder=here.parent) if tracked else None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str, folder: Path) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
