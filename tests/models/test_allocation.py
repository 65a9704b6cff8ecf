"""Freed memory is kept where the C library can, and used again without asking the system for it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from understudy.models.allocation import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def cost():
    before = faults()
    for _ in range(20):
        torch.ones(4 << 20)
    return faults() - before

loose = cost()
assert keep_freed_memory()
cost()
print(loose, cost())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")
def test_tensors_of_one_size_use_the_same_pages_again() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    loose, kept = map(int, done.stdout.split())
    assert loose > 100
    assert kept < loose / 5
