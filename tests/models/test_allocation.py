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


GIVING = """
import ctypes
from understudy.models.allocation import FreedMemory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
pieces = [libc.malloc(100_000) for _ in range(1_000)]
for piece in pieces:
    ctypes.memset(piece, 1, 100_000)
full = resident()
for piece in pieces[:-1]:
    libc.free(piece)
kept = full - resident()
assert not FreedMemory().give_back()
assert FreedMemory(every_seconds=0).give_back()
print(kept, full - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")
def test_what_lies_between_pieces_in_use_is_given_back_when_it_is_time() -> None:
    """A hundred megabytes below a piece that is still held."""
    done = subprocess.run([sys.executable, "-c", GIVING], capture_output=True, text=True, check=True, timeout=120)
    kept, given = map(int, done.stdout.split())
    assert kept < 5e6
    assert given > 9e7
