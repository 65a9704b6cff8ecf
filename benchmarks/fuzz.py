"""Hostile inputs for everything that reads what others wrote: does one do more than be refused?

    python -m benchmarks.fuzz                               # 100,000 inputs over all kinds
    python -m benchmarks.fuzz server-answer tool-calls --inputs 5000 --seed 1
    python -m benchmarks.fuzz recipe-text --engine atheris --seconds 600     # guided by coverage; pip install atheris
    python -m benchmarks.fuzz --table fuzz.jsonl            # what several runs found, summed up

An input may be taken, or refused by an ``UnderstudyError`` with a sentence. Anything else is a finding: another
exception, a hang (10 s), more than 1 GiB, a refusal without words. Made to be run by hand; the suite has a smaller one,
``tests/hardening/test_fuzz.py``, and the kinds are defined beside it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType, FunctionType, ModuleType

from tests.hardening.all_kinds import KINDS
from tests.hardening.target import Finding, Target, judge

HEADING = f"{'kind':<18} {'inputs':>8} {'taken':>8} {'refused':>8} {'findings':>8} {'slowest':>8} {'CPU':>8}"


@dataclass
class Tally:
    """What came of the inputs of one kind. ``slowest``: seconds of the longest; ``cpu``: of all, making them too."""

    kind: str
    inputs: int = 0
    taken: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    cpu: float = 0.0

    def line(self) -> str:
        bad = sum(self.findings.values())
        counts = f"{self.inputs:>8,} {self.taken:>8,} {self.inputs - self.taken - bad:>8,} {bad:>8,}"
        return f"{self.kind:<18} {counts} {self.slowest:>6.2f} s {self.cpu:>6.0f} s"


def fuzz(kind: str, count: int, *, seed: int, keep: Path) -> Tally:
    """Give one reader so many inputs; those that are findings are kept as files."""
    tally, began = Tally(kind), time.process_time()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        target = KINDS[kind].opened(Path(folder))
        for number in range(count):
            content = target.make(Random(f"{seed} {kind} {number}"))
            verdict = judge(target, content)
            tally.inputs += 1
            tally.slowest = max(tally.slowest, verdict.seconds)
            if verdict.finding is None:
                tally.taken += verdict.taken
            else:
                tally.findings[verdict.finding.what] += 1
                if tally.findings[verdict.finding.what] == 1:
                    _keep(verdict.finding, keep, kind=kind)
    tally.cpu = time.process_time() - began
    return tally


def _keep(finding: Finding, folder: Path, *, kind: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in folder.glob("*.input"))
    (folder / f"{kind}-{number:03d}.input").write_bytes(finding.content)
    (folder / f"{kind}-{number:03d}.txt").write_text(
        f"{finding.what}\n{finding.trace}", encoding="utf-8", errors="replace"
    )
    print(f"{kind}: {finding.what}", flush=True)


def reading(target: Target) -> list[FunctionType]:
    """The functions of every module of this package that a few inputs pass through: to watch all takes minutes."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and "/understudy/" in frame.f_code.co_filename:
            files.add(frame.f_code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    for number in range(20):
        judge(target, target.make(Random(number)))
    sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type]
    modules = [module for module in list(sys.modules.values()) if getattr(module, "__file__", None) in files]
    found = {
        function for module in modules for function in _functions_of(module) if function.__code__.co_filename in files
    }
    return sorted(found, key=lambda function: (function.__module__, function.__qualname__))


def _functions_of(holder: object) -> Iterator[FunctionType]:
    """Of a module and its classes, without what wraps them."""
    for one in list(vars(holder).values()):
        if isinstance(one, type) and isinstance(holder, ModuleType) and one.__module__ == holder.__name__:
            yield from _functions_of(one)
        bare = one.fget if isinstance(one, property) else getattr(one, "__func__", one)  # also class and static methods
        inner = inspect.unwrap(bare) if callable(bare) else None
        if isinstance(inner, FunctionType):
            yield inner


def guided(kind: str, *, seconds: float, keep: Path) -> int:
    """Let atheris look for inputs that reach new lines; ends at the first finding, or when the time is over."""
    import atheris

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        target: Target = KINDS[kind].opened(Path(folder))
        for number in range(200):
            (seeds / str(number)).write_bytes(target.make(Random(number)))
        count = sum(atheris.instrument_func(function) is not None for function in reading(target))
        print(f"{kind}: {count} functions watched", flush=True)

        def one(content: bytes) -> None:
            finding = judge(target, content).finding
            if finding is not None:
                _keep(finding, keep, kind=kind)
                raise AssertionError(finding.what)

        atheris.Setup([sys.argv[0], str(seeds), f"-max_total_time={seconds:.0f}", "-max_len=4096"], one)
        atheris.Fuzz()
    return 0


def shares(kinds: Sequence[str], total: int) -> Iterator[tuple[str, int]]:
    """How many inputs each kind gets."""
    whole = sum(KINDS[kind].share for kind in kinds)
    for kind in kinds:
        yield kind, max(1, round(total * KINDS[kind].share / whole))


def table_of(files: Sequence[Path]) -> str:
    """All runs in these files, summed up by kind."""
    sums: dict[str, Tally] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            tally = sums.setdefault(one["kind"], Tally(one["kind"]))
            tally.inputs += one["inputs"]
            tally.taken += one["taken"]
            tally.findings.update(one["findings"])
            tally.slowest = max(tally.slowest, one["slowest"])
            tally.cpu += one["cpu"]
    whole = Tally("all", slowest=max((one.slowest for one in sums.values()), default=0.0))
    for one in sums.values():
        whole.inputs, whole.taken, whole.cpu = whole.inputs + one.inputs, whole.taken + one.taken, whole.cpu + one.cpu
        whole.findings.update(one.findings)
    return "\n".join([HEADING, *(one.line() for one in sums.values()), whole.line()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all by default")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz.jsonl"), help="one line a kind, added to")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder of inputs that are findings")
    parser.add_argument("--engine", choices=("random", "atheris"), default="random")
    parser.add_argument("--seconds", type=float, default=600.0, help="of atheris")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="print what these files hold")
    options = parser.parse_args()
    if options.table:
        print(table_of(options.table))
        return 0
    kinds = options.kinds or list(KINDS)
    if options.engine == "atheris":
        return guided(kinds[0], seconds=options.seconds, keep=options.keep)
    print(HEADING, flush=True)
    findings = 0
    for kind, count in shares(kinds, options.inputs):
        tally = fuzz(kind, count, seed=options.seed, keep=options.keep)
        findings += sum(tally.findings.values())
        print(tally.line(), flush=True)
        with options.out.open("a", encoding="utf-8") as out:
            out.write(json.dumps({**vars(tally), "seed": options.seed}) + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
