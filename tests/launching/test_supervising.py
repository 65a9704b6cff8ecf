"""A launch of light parts: order, restarts, and an end of everything, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from tests.launching.light import python, server, trainer
from understudy.errors import UnderstudyError
from understudy.launching.part import Part
from understudy.launching.process import Process, marked
from understudy.launching.supervising import Bounds, PartFailedError, Supervisor

FORKS = "sleep 600 & (setsid sleep 600 &); trap '' TERM; sleep 600; sleep 600"


def supervisor(parts: Sequence[Part], folder: Path, said: list[str], **bounds: float) -> Supervisor:
    settings = Bounds(**{"restarts": 2, "deadline_seconds": 90.0, "grace_seconds": 3.0, **bounds})
    return Supervisor(parts, folder, dict(os.environ), bounds=settings, say=said.append)


def marks_of(one: Supervisor) -> list[str]:
    return [process._mark for process in one.processes]


def assert_nothing_is_left(marks: Sequence[str]) -> None:
    wait_until(lambda: not any(marked(mark) for mark in marks), seconds=5)


def wait_until(is_so: Callable[[], bool], *, seconds: float = 90.0, pause: float = 0.02) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(pause)


def test_servers_answer_before_the_trainer_starts_and_end_after_it(tmp_path: Path) -> None:
    said: list[str] = []
    one = server()
    asks = f"import urllib.request as u; print(u.urlopen('{one.url}/health').status)"
    launch = supervisor([one, trainer(asks)], tmp_path, said)
    assert launch.run() == 0
    assert said[-1] == "train | 200"
    assert "1 server(s) answer" in said[0]
    assert [process.state for process in launch.processes] == ["ended", "ended"]
    assert_nothing_is_left(marks_of(launch))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{one.url}/health")


def test_a_trainer_that_fails_goes_on_with_resume(tmp_path: Path) -> None:
    said: list[str] = []
    tries = tmp_path / "tries"
    code = """
with open(sys.argv[1], "a") as file: print(*sys.argv[2:], file=file)
sys.exit("out of luck" if len(open(sys.argv[1]).readlines()) < 3 else 0)
"""
    launch = supervisor([trainer(code, tries)], tmp_path, said)
    assert launch.run() == 0
    assert tries.read_text().splitlines() == ["", "--resume", "--resume"]
    assert launch.trainer.restarts == 2
    told = [line for line in said if "restart" in line]
    assert (
        "status 1 (last line: out of luck); restart 1 of 2 in 0.5 s" in told[0] and "restart 2 of 2 in 1 s" in told[1]
    )


def test_a_part_that_fails_too_often_ends_the_launch_with_its_last_lines(tmp_path: Path) -> None:
    broken = Part("teacher-0", "teacher", 0, python("print('no room'); raise SystemExit(1)"), url="http://127.0.0.1:9")
    steady = server("teacher-1")
    launch = supervisor([broken, steady, trainer("time.sleep(600)")], tmp_path, [], restarts=1)
    with pytest.raises(PartFailedError, match=r"teacher-0 ended with status 1 after 1 restart\(s\)") as caught:
        launch.run()
    assert "teacher-0 | no room" in str(caught.value) and str(tmp_path / "teacher-0.log") in str(caught.value)
    assert caught.value.exit_code == 1
    assert_nothing_is_left(marks_of(launch))


def test_a_users_mistake_is_not_tried_again(tmp_path: Path) -> None:
    launch = supervisor([trainer("print('understudy: no such recipe'); sys.exit(2)")], tmp_path, [])
    with pytest.raises(PartFailedError, match="no such recipe") as caught:
        launch.run()
    assert caught.value.exit_code == 2 and launch.trainer.restarts == 0


def test_ranks_that_made_a_mistake_end_the_launch_with_their_own_status(tmp_path: Path) -> None:
    """torchrun itself ends with 1, whatever its ranks end with; these ranks are light."""
    rank = "import sys; print('understudy: no such recipe', file=sys.stderr); sys.exit(2)"
    (tmp_path / "rank.py").write_text(rank)
    command = ("torchrun", "--nproc-per-node=2", "--standalone", "--max-restarts=0", str(tmp_path / "rank.py"))
    launch = supervisor([Part("train", "trainer", 0, command)], tmp_path, [])
    with pytest.raises(PartFailedError, match="no such recipe") as caught:
        launch.run()
    assert caught.value.exit_code == 2 and launch.trainer.restarts == 0 and "Traceback" not in str(caught.value)


def test_a_server_that_dies_comes_back_at_its_address(tmp_path: Path) -> None:
    said: list[str] = []
    one = server()
    waits = f"""
import urllib.request as u
def answers():
    try: return u.urlopen('{one.url}/health').status == 200
    except OSError: return False
while answers(): time.sleep(.02)
print("it is gone", flush=True)
while not answers(): time.sleep(.02)
print("it is back")
"""
    launch = supervisor([one, trainer(waits)], tmp_path, said)
    killer = threading.Thread(target=kill_once_running, args=(launch,))
    killer.start()
    assert launch.run() == 0
    killer.join()
    assert launch.servers[0].restarts == 1 and "train | it is back" in said
    assert any("teacher-0 ended with status 137" in line for line in said)


def kill_once_running(launch: Supervisor) -> None:
    wait_until(lambda: launch.trainer.state == "running")
    pid = launch.servers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_the_first_signal_lets_the_trainer_end_while_its_servers_answer(tmp_path: Path) -> None:
    said: list[str] = []
    one = server()
    patient = f"""
import signal, urllib.request as u
def save(*_): time.sleep(.3); print("saved", u.urlopen('{one.url}/health').status); sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("at work", flush=True); time.sleep(600)
"""
    launch = supervisor([one, trainer(patient)], tmp_path, said)
    stopper = threading.Thread(
        target=lambda: (wait_until(lambda: "train | at work" in said), launch.stop(signal.SIGTERM))
    )
    stopper.start()
    assert launch.run() == 128 + signal.SIGTERM
    stopper.join()
    assert said[-1] == "train | saved 200"
    assert_nothing_is_left(marks_of(launch))


def test_what_does_not_end_by_itself_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    stubborn = Process(Part("train", "trainer", 0, ("bash", "-c", FORKS)), tmp_path, grace_seconds=0.3)
    stubborn.start(dict(os.environ))
    wait_until(lambda: len(marked(stubborn._mark)) >= 5)  # the warden, bash and three that sleep
    stubborn.ask()
    wait_until(stubborn.poll, seconds=5)
    assert stubborn.exit_status == 128 + signal.SIGKILL
    assert_nothing_is_left([stubborn._mark])


def test_nothing_outlives_a_launch_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL lets nobody clean up: the wardens see the end of their pipe."""
    script = f"""
import os, sys, time
from pathlib import Path
from understudy.launching.part import Part
from understudy.launching.process import Process
one = Process(Part("train", "trainer", 0, ("bash", "-c", {FORKS!r})), Path({str(tmp_path)!r}), grace_seconds=0.3)
one.start(dict(os.environ))
print(one._mark, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    mark = parent.stdout.readline().strip()
    wait_until(lambda: len(marked(mark)) >= 5)
    parent.kill()
    parent.communicate()
    assert_nothing_is_left([mark])


def test_a_warden_that_is_killed_leaves_nothing_either(tmp_path: Path) -> None:
    one = Process(Part("train", "trainer", 0, ("bash", "-c", FORKS)), tmp_path, grace_seconds=3)
    one.start(dict(os.environ))
    wait_until(lambda: len(marked(one._mark)) >= 5)
    assert one._warden is not None
    one._warden.kill()
    wait_until(one.poll, seconds=5)
    assert_nothing_is_left([one._mark])


def test_a_server_that_never_answers_is_named_at_the_deadline(tmp_path: Path) -> None:
    silent = Part("teacher-0", "teacher", 0, python("import time; time.sleep(600)"), url="http://127.0.0.1:9")
    launch = supervisor([silent, trainer("")], tmp_path, [], deadline_seconds=0.4)
    with pytest.raises(UnderstudyError, match=r"1 of 1 server.* did not answer within 0.4 s; got teacher-0"):
        launch.run()
    assert_nothing_is_left(marks_of(launch))


def test_a_program_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    launch = supervisor([Part("train", "trainer", 0, ("no-such-program",))], tmp_path, [], restarts=0)
    with pytest.raises(PartFailedError, match="no-such-program cannot be started: No such file"):
        launch.run()
