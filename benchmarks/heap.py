"""Any command of ``understudy`` in this process, with what its memory is made of, one JSON line every ten seconds.

    python -m benchmarks.heap heap.jsonl train recipes/testbed-opd.yaml steps=3000 checkpoint.every=4

KiB: anonymous pages of the process; of glibc's heaps all, given out and free between; Arrow's pool. Counts: blocks of
Python's own allocator, and objects that its collector knows. Linux with glibc.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
import time
from pathlib import Path

_SECONDS = 10.0
_STATUS = Path("/proc/self/status")


class _Info(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    )


def sample() -> dict[str, int]:
    """The memory of this process now."""
    import pyarrow as pa

    ask = ctypes.CDLL("libc.so.6").mallinfo2
    ask.restype = _Info
    info = ask()
    (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith("RssAnon:")]
    return {
        "anonymous": int(line.split()[1]),
        "heap": info.arena >> 10,
        "given_out": info.uordblks >> 10,
        "free_between": info.fordblks >> 10,
        "arrow": pa.total_allocated_bytes() >> 10,
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
    }


def _watch(file: Path) -> None:
    began = time.monotonic()
    while True:
        time.sleep(_SECONDS)
        with file.open("a") as out:
            out.write(json.dumps({"seconds": round(time.monotonic() - began), **sample()}) + "\n")


def main() -> None:
    """Take the file's name off the command line, and give the rest to ``understudy``."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    threading.Thread(target=_watch, args=(Path(sys.argv.pop(1)),), daemon=True).start()
    from understudy.cli import main as understudy

    understudy()


if __name__ == "__main__":
    main()
