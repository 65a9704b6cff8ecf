"""Jobs side by side in other processes: all are done, errors cross over, and a signal ends everything cleanly."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from understudy.bench.crew import InterruptedBenchError, work
from understudy.errors import DataError, UnderstudyError, UserMistakeError


@dataclass(frozen=True)
class Note:
    """Writes its process into a file; ``how`` it ends is its name."""

    file: Path
    how: str = "well"

    def do(self) -> signal.Signals | None:
        if self.how == "mistake":
            raise DataError("the data is bad", got=3, remedy="Mend it.")
        if self.how == "bug":
            raise KeyError("lost")
        if self.how == "death":
            os._exit(7)
        if self.how == "long":
            try:
                self.file.with_suffix(".begun").write_text("")
                time.sleep(60)
            except KeyboardInterrupt:
                self.file.write_text("interrupted")
                return signal.SIGINT
        self.file.write_text(str(os.getpid()))
        return signal.SIGTERM if self.how == "cut short" else None


def test_all_are_done_by_as_many_processes_as_asked_for(tmp_path: Path) -> None:
    jobs = [Note(tmp_path / str(number)) for number in range(5)]
    assert sorted(job.file.name for job in work(jobs, processes=2)) == list("01234")
    processes = {job.file.read_text() for job in jobs}
    assert 1 <= len(processes) <= 2 and str(os.getpid()) not in processes


def test_one_process_is_this_one_and_keeps_the_order(tmp_path: Path) -> None:
    jobs = [Note(tmp_path / str(number)) for number in range(3)]
    assert list(work(jobs, processes=1)) == jobs
    assert {job.file.read_text() for job in jobs} == {str(os.getpid())}
    assert list(work([], processes=4)) == []
    with pytest.raises(InterruptedBenchError) as ended:
        list(work([Note(tmp_path / "cut", "cut short")], processes=1))
    assert ended.value.exit_code == 143, "of the signal that the run itself has taken"


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("mistake", UserMistakeError, r"the data is bad; got 3\. Mend it\."),
        ("bug", UnderstudyError, "a run failed: KeyError: 'lost'"),
        ("death", UnderstudyError, "the process of a run died; got exit status 7"),
    ],
)
def test_an_error_of_a_job_ends_the_others_and_is_told_here(
    tmp_path: Path, how: str, kind: type[Exception], words: str
) -> None:
    jobs = [Note(tmp_path / "long", "long"), Note(tmp_path / "bad", how)]
    with pytest.raises(kind, match=words):
        list(work(jobs, processes=2))
    begun = (tmp_path / "long.begun").exists()  # or the error was faster than its beginning
    assert not begun or (tmp_path / "long").read_text() == "interrupted"


def test_a_signal_lets_each_end_its_work(tmp_path: Path) -> None:
    jobs = [Note(tmp_path / str(number), "long") for number in range(3)]

    def interrupt() -> None:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*.begun"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(InterruptedBenchError, match="the same command goes on") as ended:
        list(work(jobs, processes=2))
    thread.join()
    assert ended.value.exit_code == 128 + signal.SIGTERM
    assert [job.file.read_text() for job in jobs[:2]] == ["interrupted"] * 2 and not jobs[2].file.exists()
