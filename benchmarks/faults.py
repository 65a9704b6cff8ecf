"""A fault at every moment at which a run writes: is anything lost, and is the user told in a sentence?

    python -m benchmarks.faults                       # the training loop: ENOSPC, EIO, EACCES and SIGKILL at each point
    python -m benchmarks.faults --scenario train      # `understudy train` with evaluation, report and card, likewise
    python -m benchmarks.faults --scenario office     # or another of tests/hardening/write_scenarios.py
    python -m benchmarks.faults --scenario train --distinct     # one point of each kind of write to each kind of file
    python -m benchmarks.faults --check-complete      # strace: is anything written that is no point?
    python -m benchmarks.faults --table faults.jsonl

Each point is met by a fork of a warm process; another fork resumes the run without a fault. It must come to the weights
and metrics of a run that was left in peace, and an error must be one of ours, in one line. A native writer
(safetensors, Parquet) and each ``write`` leave the first half of what they had.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.hardening.write_points import FAULTS, Fault, Point, Watch, watched
from tests.hardening.write_scenarios import SCENARIOS, Scenario

from understudy.errors import UnderstudyError

_KILLED = "killed"


@dataclass(frozen=True)
class Outcome:
    """What came of one fault.

    Args:
        point, deed, name, fault: where and what. said: the error's message; empty where the run went on,
            ``killed`` where the process died. wrong: what should not be; empty where all is well.
    """

    point: int
    deed: str
    name: str
    fault: str
    said: str
    wrong: str


def forked(work: Callable[[], str]) -> str:
    """What ``work`` says in a process of its own; ``killed`` where that died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            said = work()
        except BaseException:
            said = f"!{traceback.format_exc()[-1500:]}"
        os.write(writing, said.encode("utf-8", "replace")[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return _KILLED if os.WIFSIGNALED(status) else said


def warm(scenario: Scenario) -> None:
    """Do it once here, so that what is imported and compiled at first use is there in every fork."""
    with tempfile.TemporaryDirectory(prefix="faults-warm-") as name:
        scenario.go(Path(name).resolve() / "run", False)


def points_of(scenario: Scenario, folder: Path) -> list[Point]:
    """The write points of a run that is left in peace; it stays in ``folder``."""

    def work() -> str:
        with watched(Watch(folder)) as watch:
            scenario.go(folder, False)
        return json.dumps([asdict(point) for point in watch.points])

    said = forked(work)
    if said.startswith("!") or said == _KILLED:
        raise SystemExit(f"the run that was left in peace failed:\n{said}")
    return [Point(**one) for one in json.loads(said)]


def strike(scenario: Scenario, at: int, point: Point, fault: Fault, *, peaceful: Path, folder: Path) -> Outcome:
    """One fault, then a run that goes on, compared with the peaceful one."""
    path = folder / peaceful.name

    def faulty() -> str:
        try:
            with watched(Watch(path, at, fault)):
                scenario.go(path, False)
        except UnderstudyError as error:
            return str(error)
        return ""

    def again() -> str:
        scenario.go(path, path.exists())
        return "" if scenario.facts(path) == scenario.facts(peaceful) else "the run came to other files or numbers"

    said = forked(faulty)
    resumed = forked(again)
    shutil.rmtree(path, ignore_errors=True)
    return Outcome(at, point.deed, point.name, fault, said, _wrong(said, resumed, fault))


def _wrong(said: str, resumed: str, fault: Fault) -> str:
    if said.startswith("!"):
        return f"escaped: {said[1:]}"
    if "\n" in said or (fault == "kill") != (said == _KILLED):
        return f"said {said!r}"
    return resumed.removeprefix("!")


def kind_of(point: Point) -> tuple[str, str]:
    """Points that are alike but for the step."""
    return point.deed, re.sub(r"\d+", "N", point.name)


def run(options: argparse.Namespace) -> int:
    from transformers.utils import logging

    logging.disable_progress_bar()
    scenario = SCENARIOS[options.scenario]()
    warm(scenario)
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name).resolve()
        peaceful = folder / "peaceful" / "run"
        peaceful.parent.mkdir()
        points = points_of(scenario, peaceful)
        chosen = [number for number, point in enumerate(points) if scenario.strikes(point.name)]
        if options.like:
            chosen = [number for number in chosen if re.search(options.like, points[number].name)]
        if options.distinct:
            chosen = sorted({kind_of(points[n]): n for n in chosen}.values())
        print(f"{options.scenario}: {len(points)} write points, {len(chosen)} of them struck", flush=True)
        (folder / "cut").mkdir()
        bad = struck = 0
        for at in chosen:
            for fault in (FAULTS[at % len(FAULTS)],) if options.one else FAULTS:
                struck += 1
                found = strike(scenario, at, points[at], fault, peaceful=peaceful, folder=folder / "cut")
                bad += bool(found.wrong)
                if found.wrong:
                    print(f"{fault} at {at} ({found.deed} {found.name}): {found.wrong}", flush=True)
                if options.out:
                    with options.out.open("a", encoding="utf-8") as out:
                        out.write(json.dumps({"scenario": options.scenario, "of": len(points), **asdict(found)}) + "\n")
        print(f"{struck} faults, {bad} lost something or were told badly", flush=True)
    return 1 if bad else 0


_CALLS = "openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,truncate,ftruncate"


_PROGRAM = """
import json, sys
from pathlib import Path
from tests.hardening.write_points import Watch, watched
from tests.hardening.write_scenarios import SCENARIOS
scenario, folder = SCENARIOS[sys.argv[1]](), Path(sys.argv[2])
with watched(Watch(folder)) as watch:
    scenario.go(folder, False)
print(json.dumps([[point.deed, point.name] for point in watch.points]))
"""


def check_complete(options: argparse.Namespace) -> int:
    """Run once under strace and name the files of the run that are written to without a point."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder, log = Path(name).resolve() / "run", Path(name) / "strace"
        command = ["strace", "-f", "-qq", "-e", f"trace={_CALLS}", "-o", str(log), sys.executable, "-c", _PROGRAM]
        ended = subprocess.run([*command, options.scenario, str(folder)], check=True, capture_output=True, text=True)
        points = json.loads(ended.stdout.splitlines()[-1])
        known = {name for _, name in points}
        # The native writer of safetensors fills a file of its own beside, and renames it, all within one point.
        within = {os.path.dirname(name) for deed, name in points if deed == "native write"}  # noqa: PTH120
        seen = {
            name
            for name in written_in(log.read_text(encoding="utf-8", errors="replace"), folder)
            if not (os.path.dirname(name) in within and re.fullmatch(r"\.tmp\w{6}", os.path.basename(name)))  # noqa: PTH119, PTH120
        }
    missing = sorted(seen - known)
    print(f"{options.scenario}: the kernel saw writes to {len(seen)} names of the run, {len(missing)} without a point")
    print("\n".join(missing))
    return 1 if missing else 0


def written_in(trace: str, folder: Path) -> set[str]:
    """Names below the folder that a trace of system calls opens for writing, makes, renames to, or removes."""
    names = set()
    for line in trace.splitlines():
        if " = -1 " in line or ("openat(" in line and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", line)):
            continue
        paths = re.findall(r'"([^"]*)"', line)
        if paths and paths[-1].startswith(f"{folder}/"):
            names.add(os.path.relpath(paths[-1], folder))
    return names


def table_of(files: Sequence[Path]) -> str:
    """How many faults of each kind, and how many lost something."""
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    lines = [
        f"{'scenario':<9} {'deed':<13} {'points':>6} {'faults':>6} {'told':>6} {'went on':>7} {'died':>6} {'wrong':>6}"
    ]
    for scenario, deed in sorted({(row["scenario"], row["deed"]) for row in rows}):
        of = [row for row in rows if (row["scenario"], row["deed"]) == (scenario, deed)]
        said = Counter("died" if row["said"] == _KILLED else "told" if row["said"] else "on" for row in of)
        counts = (len({row["point"] for row in of}), len(of), said["told"], said["on"], said["died"])
        wrong = sum(bool(row["wrong"]) for row in of)
        lines.append(
            f"{scenario:<9} {deed:<13} "
            + " ".join(f"{n:>{w}}" for n, w in zip((*counts, wrong), (6, 6, 6, 7, 6, 6), strict=True))
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS, default="loop")
    parser.add_argument("--distinct", action="store_true", help="one point of each kind")
    parser.add_argument("--one", action="store_true", help="one of the four faults at each point, in turn")
    parser.add_argument("--like", metavar="REGEX", help="only points of files whose names match")
    parser.add_argument("--check-complete", action="store_true", help="compare the points with strace's")
    parser.add_argument("--out", type=Path, help="one line a fault, added to")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    if options.table:
        print(table_of(options.table))
        return 0
    return check_complete(options) if options.check_complete else run(options)


if __name__ == "__main__":
    sys.exit(main())
