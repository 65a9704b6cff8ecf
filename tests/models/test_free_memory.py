"""The memory that is free, from a kernel's files as they are read."""

from __future__ import annotations

from pathlib import Path

from understudy.models.free_memory import free_host_memory


def kernel_files(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "proc", folder / "cgroup"


MEMINFO = "MemTotal: 4000 kB\nMemAvailable:    3000 kB\n"


def test_free_memory_without_groups(tmp_path: Path) -> None:
    assert free_host_memory(*kernel_files(tmp_path, {"proc/meminfo": MEMINFO})) == 3000 * 1024
    assert free_host_memory(tmp_path / "none", tmp_path) is None


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/a/b\n",
        "cgroup/a/b/memory.max": "max\n",
        "cgroup/a/b/memory.current": "500000\n",
        "cgroup/a/memory.max": "1000000\n",
        "cgroup/a/memory.current": "700000\n",
        "cgroup/a/memory.stat": "anon 1\ninactive_file 50000\n",
    }
    assert free_host_memory(*kernel_files(tmp_path, files)) == 350_000


def test_groups_of_version_one(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:cpu,memory:/job\n0::/\n",
        "cgroup/memory/job/memory.limit_in_bytes": "1000000\n",
        "cgroup/memory/job/memory.usage_in_bytes": "900000\n",
        "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cgroup/memory/memory.usage_in_bytes": "0\n",
    }
    assert free_host_memory(*kernel_files(tmp_path, files)) == 100_000
