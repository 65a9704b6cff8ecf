"""Workers: what hangs, dies or fails costs its own job only, and nothing outlives the process that asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.workers import JobFailedError, OvertimeError, RefusedError, Workers

FUNCTIONS = """
import os, signal, subprocess, sys, time

def same(completion, columns):
    print("noise on the channel", flush=True)
    return completion == columns.get("gold")

def moody(completion, columns):
    if completion == "sleep":
        time.sleep(600)
    if completion == "spin":
        while True: pass
    if completion == "C code":
        return 9 ** 9 ** 9 ** 9
    if completion == "children":
        subprocess.Popen(["sleep", "600"]).wait()
    if completion == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if completion == "exit":
        os._exit(3)
    if completion == "quit":
        sys.exit("enough")
    if completion == "raise":
        raise ValueError("two\\nlines")
    if completion == "deep":
        return moody_deep(0)
    if completion == "pid":
        return {"reward": float(os.getpid()), "correct": None}
    return True

def moody_deep(n):
    return moody_deep(n + 1)

def hungry(completion, columns):
    return len(b"x" * int(completion)) > 0

not_callable = 3
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_verifiers.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def workers_of(name: str, *, seconds: float = 1.0, num_workers: int = 2, memory_bytes: int | None = None) -> Workers:
    return Workers(
        "function",
        options={"function": f"own_verifiers:{name}"},
        seconds=seconds,
        num_workers=num_workers,
        memory_bytes=memory_bytes,
    )


@pytest.fixture
def moody(place: Path) -> Iterator[Workers]:
    workers = workers_of("moody")
    yield workers
    workers.close()


def ask(workers: Workers, completion: str) -> dict[str, object]:
    answer = workers.run({"completion": completion, "columns": {"gold": "a"}})
    assert isinstance(answer, dict)
    return answer


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    children = [int(word) for word in subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    ).stdout.split()]  # fmt: skip
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def gone(pids: list[int], *, within: float = 5.0) -> bool:
    until = time.monotonic() + within
    while any(is_running(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_jobs_come_back_to_those_who_asked_whatever_a_function_prints(place: Path) -> None:
    workers = workers_of("same")
    futures = [workers.submit({"completion": "ab"[n % 2], "columns": {"gold": "a"}}) for n in range(300)]
    assert [future.result()["correct"] for future in futures] == [n % 2 == 0 for n in range(300)]
    workers.close()


@pytest.mark.parametrize("completion", ["sleep", "spin", "C code", "children"])
def test_a_job_that_hangs_ends_by_its_deadline_and_the_next_one_runs(moody: Workers, completion: str) -> None:
    ask(moody, "start")
    started = time.monotonic()
    with pytest.raises(OvertimeError, match="1 s"):
        ask(moody, completion)
    assert 0.9 < time.monotonic() - started < 4
    assert ask(moody, "fine")["correct"] is True


@pytest.mark.parametrize(
    ("completion", "said"),
    [
        ("die", "died of signal 9"),
        ("exit", "ended with status 3"),
        ("quit", "SystemExit: enough"),
        ("raise", "ValueError: two lines"),
        ("deep", "RecursionError"),
    ],
)
def test_a_job_that_fails_says_how_and_the_next_one_runs(moody: Workers, completion: str, said: str) -> None:
    with pytest.raises(JobFailedError) as caught:
        ask(moody, completion)
    assert said in str(caught.value)
    assert ask(moody, "fine")["correct"] is True


def test_hanging_jobs_run_side_by_side_with_others(moody: Workers) -> None:
    ask(moody, "start")
    started = time.monotonic()
    jobs = [moody.submit({"completion": word, "columns": {}}) for word in ["sleep", "sleep", *["fine"] * 20]]
    for job in jobs[:2]:
        with pytest.raises(OvertimeError):
            job.result()
    assert all(job.result()["correct"] for job in jobs[2:])
    assert time.monotonic() - started < 3


def test_workers_are_kept(moody: Workers) -> None:
    assert len({ask(moody, "pid")["reward"] for _ in range(20)}) <= 2


def test_memory_is_bounded(place: Path) -> None:
    workers = workers_of("hungry", memory_bytes=200 << 20, seconds=30)
    assert ask(workers, str(50 << 20))["correct"] is True
    with pytest.raises(JobFailedError, match="MemoryError"):
        ask(workers, str(4 << 30))
    workers.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "AttributeError: module 'own_verifiers' has no attribute 'missing'"),
        ("not_callable", "TypeError: own_verifiers:not_callable is no function"),
    ],
)
def test_workers_that_cannot_begin_say_why_each_time(place: Path, name: str, said: str) -> None:
    workers = workers_of(name)
    for _ in range(3):
        with pytest.raises(RefusedError) as caught:
            ask(workers, "x")
        assert said in str(caught.value)
    workers.close()


def test_closing_leaves_no_process_and_the_next_job_starts_anew(moody: Workers) -> None:
    ask(moody, "start")
    assert moody._supervisor is not None
    supervisor = moody._supervisor._process.pid
    pids = [supervisor, *descendants(supervisor)]
    assert len(pids) >= 2
    waiting = moody.submit({"completion": "sleep", "columns": {}})
    moody.close()
    assert gone(pids)
    with pytest.raises(JobFailedError):
        waiting.result()
    assert ask(moody, "fine")["correct"] is True


def test_a_supervisor_that_is_killed_fails_its_jobs_and_is_replaced(moody: Workers) -> None:
    ask(moody, "start")
    supervisor = moody._supervisor
    assert supervisor is not None
    waiting = moody.submit({"completion": "sleep", "columns": {}})
    os.kill(supervisor._process.pid, signal.SIGKILL)
    with pytest.raises(JobFailedError, match="its process ended"):
        waiting.result()
    assert ask(moody, "fine")["correct"] is True


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_nothing_outlives_the_process_that_asked(place: Path, end: str) -> None:
    """Also when it is killed while a worker spins in C code."""
    code = """
        import os, signal, time
        from understudy.workers import Workers
        workers = Workers("function", options={"function": "own_verifiers:moody"}, seconds=500, num_workers=2)
        workers.run({"completion": "fine", "columns": {}})
        for word in ("C code", "children"):
            workers.submit({"completion": word, "columns": {}})
        time.sleep(0.5)
        print("ready", flush=True)
        input()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    pids = descendants(process.pid)
    assert len(pids) >= 3
    if end == "kill":
        process.kill()
    process.communicate(b"\n", timeout=60)
    assert gone(pids)
