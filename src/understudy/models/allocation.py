"""When memory has run out, and what becomes of freed memory."""

from __future__ import annotations

import ctypes
import time

import torch

# What the allocators of torch say; those of CUDA have a type of their own, but libraries below it do not use it.
_SIGNS = (
    "defaultcpuallocator",
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "bad_alloc",
)
# glibc's mallopt: keep up to so much at the heap's end, and take less than so much from the heap.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator of torch, on a CPU or a GPU, or Python's own had no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def keep_freed_memory() -> bool:
    """Have the C library keep what a tensor leaves for the next one, up to 1 GiB; whether it can.

    Otherwise glibc gives large pieces back to the system at once, and the system clears each page again for the next
    tensor of the same size: a sixth of a step with wide vocabularies. For the whole process; not for CUDA's memory.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES))


class FreedMemory:
    """What was freed, given back to the system now and then.

    Between pieces of many sizes that come and go, the C library's heap grows for hours though no more is in use.

    Args:
        every_seconds: at most so often; the system clears each page again that is then taken once more.
    """

    def __init__(self, every_seconds: float = 600.0) -> None:
        self._every, self._last = every_seconds, time.monotonic()

    def give_back(self) -> bool:
        """Whether it was time, and the C library one that can."""
        if time.monotonic() - self._last < self._every:
            return False
        self._last = time.monotonic()
        try:
            return bool(ctypes.CDLL(None).malloc_trim(0))
        except (AttributeError, OSError, TypeError):  # another C library
            return False
