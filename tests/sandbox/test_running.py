"""A program in a sandbox: what it gets, what it may use, and what is known of it afterwards, by every means."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.sandbox.left import has_mounted

from understudy.errors import UserMistakeError
from understudy.sandbox import Isolation, Limits, SandboxUnavailableError, isolation, run

SHORT = Limits(wall_seconds=5.0, cpu_seconds=5.0, num_processes=8, output_bytes=2000)


def python(code: str, folder: Path, *, by: Isolation, limits: Limits = SHORT, stdin: str = ""):
    return run(["python3", "-c", code], folder=folder, by=by, limits=limits, stdin=stdin)


def test_a_program_gets_its_input_and_gives_its_output_and_its_status(tmp_path, by):
    outcome = python(
        "import sys; print(sys.stdin.read()[::-1]); print('aside', file=sys.stderr); sys.exit(3)",
        tmp_path,
        by=by,
        stdin="ärger",
    )
    assert (outcome.exit_status, outcome.stdout, outcome.stderr, outcome.ended) == (3, "regrä\n", "aside\n", "exit")


def test_it_reads_and_writes_its_folder_and_the_owner_gets_the_files(tmp_path, by):
    (tmp_path / "given.txt").write_text("7")
    code = "import os; os.makedirs('a/b'); open('a/b/made.txt', 'w').write(open('given.txt').read() * 2); "
    code += "print(os.getcwd())"
    assert python(code, tmp_path, by=by).stdout == "/workspace\n"
    made = tmp_path / "a" / "b" / "made.txt"
    assert made.read_text() == "77"
    assert made.stat().st_uid == os.geteuid() == (tmp_path / "given.txt").stat().st_uid


def test_the_standard_library_and_the_packages_of_a_readable_environment_can_be_imported(tmp_path, by):
    site, folder = tmp_path / "site", tmp_path / "folder"
    site.mkdir(mode=0o755)
    folder.mkdir()
    (site / "lent.py").write_text("print('more')")
    code = "import sqlite3, ssl, ctypes, multiprocessing, sys; print('own')\n"
    code += f"sys.path.append({str(site)!r}); import lent"
    outcome = python(code, folder, by=by)
    assert (outcome.stdout, "No module named" in outcome.stderr) == ("own\n", True)
    outcome = run(["python3", "-c", code], folder=folder, by=by, readable=[site], limits=SHORT)
    assert (outcome.stdout, outcome.stderr) == ("own\nmore\n", "")


def test_what_is_readable_and_cannot_be_read_is_told(tmp_path, by):
    with pytest.raises(UserMistakeError, match="cannot read this"):
        run(["true"], folder=tmp_path, by=by, readable=[tmp_path / "absent"])


def test_output_is_cut_in_the_middle_with_a_mark(tmp_path, by):
    outcome = python("print('a' * 5000 + 'b' * 5000)", tmp_path, by=by)
    assert outcome.stdout == "a" * 1000 + "\n[... 8001 bytes cut ...]\n" + "b" * 999 + "\n"


def test_a_command_that_is_not_there_ends_as_in_a_shell(tmp_path, by):
    outcome = run(["no-such-program"], folder=tmp_path, by=by, limits=SHORT)
    assert outcome.exit_status == 127
    assert "no-such-program" in outcome.stderr


def test_a_signal_and_the_deadline_are_told_apart(tmp_path, by):
    assert python("import os; os.kill(os.getpid(), 9)", tmp_path, by=by).ended == "signal"
    slow = python("import time; time.sleep(60)", tmp_path, by=by, limits=Limits(wall_seconds=0.5))
    assert (slow.ended, slow.exit_status) == ("deadline", None)
    assert 0.5 <= slow.seconds < 5


def test_nothing_dangerous_is_left_in_the_folder(tmp_path, by):
    code = (
        "import os, socket; open('s', 'w'); os.chmod('s', 0o6755); os.mkfifo('pipe'); "
        "socket.socket(socket.AF_UNIX).bind('door'); os.makedirs('shut/in'); os.chmod('shut', 0); os.chmod('.', 0)"
    )
    mode = tmp_path.stat().st_mode
    assert python(code, tmp_path, by=by).exit_status == 0
    assert tmp_path.stat().st_mode == mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "shut"]
    assert (tmp_path / "shut" / "in").is_dir()
    assert not (tmp_path / "s").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_a_folder_may_be_named_from_the_working_directory(tmp_path, by, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    outcome = run(["sh", "-c", "echo 7 > made; mkfifo pipe"], folder=Path("work"), by=by, limits=SHORT)
    assert (outcome.exit_status, [path.name for path in Path("work").iterdir()]) == (0, ["made"])
    assert Path("work").stat().st_uid == Path("work/made").stat().st_uid == os.geteuid()


def test_programs_that_have_ended_count_against_the_processor_time(tmp_path, by):
    code = "while :; do sh -c 'n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done'; done"
    outcome = run(["sh", "-c", code], folder=tmp_path, by=by, limits=Limits(wall_seconds=30.0, cpu_seconds=0.5))
    assert (outcome.ended, outcome.reason) == ("limit", "cpu")


def test_which_limit_was_broken_is_told(tmp_path, by):
    limits = Limits(wall_seconds=30, cpu_seconds=1.5, memory_bytes=512 << 20, folder_bytes=4 << 20)
    codes = {
        "cpu": "while True: pass",
        "memory": "import os, time; os.fork(); kept = b'x' * (300 << 20); time.sleep(30)",
        "disk": "import time; open('f', 'wb').write(b'x' * (8 << 20)); time.sleep(30)",
    }
    outcomes = {reason: python(code, tmp_path, by=by, limits=limits) for reason, code in codes.items()}
    assert {reason: (outcome.ended, outcome.reason) for reason, outcome in outcomes.items()} == {
        reason: ("limit", reason) for reason in codes
    }


def test_nothing_outlives_the_caller_even_one_that_is_killed(tmp_path, by):
    code = (
        "import pathlib, sys\nfrom understudy.sandbox import run\n"
        "run(['sh', '-c', 'setsid sleep 60 & touch ready; sleep 60'], folder=pathlib.Path(sys.argv[1]), by=sys.argv[2])"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), by], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    soon = time.monotonic() + 30
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < soon and caller.poll() is None
        time.sleep(0.02)
    assert has_mounted(tmp_path)
    caller.kill()
    caller.wait()
    while has_mounted(tmp_path):
        assert time.monotonic() < soon, "a process of the sandbox is left"
        time.sleep(0.02)


def test_a_user_who_gives_no_command_or_no_folder_is_told(tmp_path, by):
    for command, folder in (([], tmp_path), (["true"], tmp_path / "absent")):
        with pytest.raises(UserMistakeError, match="a command and a folder"):
            run(command, folder=folder, by=by)


def test_a_means_that_is_named_and_not_installed_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailableError, match="bwrap"):
        run(["true"], folder=tmp_path, by="bubblewrap")


def test_where_no_means_works_nothing_runs_and_the_remedy_is_told(tmp_path):
    """Real poverty: a process that has no bwrap on its path and may make no namespaces."""
    code = (
        "import os, pathlib, sys\n"
        "from understudy.sandbox import run, SandboxUnavailableError\n"
        "try: run(['touch', 'ran'], folder=pathlib.Path(sys.argv[1]))\n"
        "except SandboxUnavailableError as error: print(error)\n"
    )
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid():
        pytest.skip("needs root and setpriv to take the right to make namespaces away")
    drop = [setpriv, "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run(
        [*drop, sys.executable, "-c", code, str(tmp_path)],
        env={"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no program bwrap on the path" in done.stdout, done.stderr
    assert "apt-get install bubblewrap" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_the_means_is_found_once_and_is_one_that_works():
    try:
        assert isolation() in ("bubblewrap", "namespaces")
    except SandboxUnavailableError:
        pytest.skip("no means to isolate a program works here")
