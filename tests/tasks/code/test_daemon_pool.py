"""Work on threads that nobody waits for at the end."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time

import pytest

from understudy.tasks.code.daemon_pool import DaemonPool

_PROGRAM = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("daemon_pool", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
pool = module.DaemonPool(1)
for _ in range(5):
    pool.submit(lambda: time.sleep(20))
time.sleep(0.1)
raise KeyboardInterrupt
"""


def test_results_errors_and_no_more_at_one_time_than_allowed() -> None:
    pool, running, most, lock = DaemonPool(2), [0], [0], threading.Lock()

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return 12 // number

    futures = [pool.submit(lambda number=number: work(number)) for number in (1, 2, 0, 3, 4)]  # type: ignore[misc]
    assert [futures[place].result(5) for place in (0, 1, 3, 4)] == [12, 6, 4, 3]
    with pytest.raises(ZeroDivisionError):
        futures[2].result(5)
    assert most == [2]


def test_the_program_ends_while_work_waits() -> None:
    file = importlib.util.find_spec("understudy.tasks.code.daemon_pool")
    assert file is not None and file.origin is not None
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, file.origin], timeout=15, capture_output=True, check=False)
    assert b"KeyboardInterrupt" in ended.stderr
