"""Faults put into the mathematics on purpose: a line is changed, and the tests of that file must notice.

python -m benchmarks.mutants                          # all, one after the other; exits with 1 if one goes unnoticed
python -m benchmarks.mutants objectives/turns.py      # those of some files
python -m benchmarks.mutants --out mutants.jsonl      # a line a fault; those that stand there are not tried again

``mutants.yaml`` holds the faults by hand: a sign turned, a mask left out, another count divided by. Each is made in a
copy of ``src/`` in a temporary folder; the working tree is never touched. A process is forked for each, so that the
imports of torch and pytest are paid once.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_suffix(".yaml")
UNNOTICED, STALE, NOTICED = "unnoticed", "stale", "noticed"


@dataclass(frozen=True)
class Fault:
    """One change.

    Args:
        file: under ``src/understudy``. tests: under ``tests``, in the order in which they are asked.
        old: what stands there exactly once. new: what is put in its place.
    """

    file: str
    tests: tuple[str, ...]
    old: str
    new: str


@dataclass(frozen=True)
class Found:
    """What came of a fault: ``noticed`` by a test, ``unnoticed``, or ``stale``, where its line is no longer there."""

    file: str
    old: str
    new: str
    verdict: str
    seconds: float


def faults(path: Path = LIST) -> Iterator[Fault]:
    """All faults of the list; ``\\n`` in it is a line's end."""
    for part in yaml.safe_load(path.read_text(encoding="utf-8")):
        for old, new in part["faults"]:
            yield Fault(part["file"], tuple(part["tests"]), *(text.replace("\\n", "\n") for text in (old, new)))


def tried(fault: Fault, source: Path) -> Found:
    """Make the fault in the copy ``source`` of ``src/``, ask its tests, and take it out again."""
    path, started = source / "understudy" / fault.file, time.monotonic()
    whole = path.read_text(encoding="utf-8")
    verdict = STALE
    if whole.count(fault.old) == 1:
        path.write_text(whole.replace(fault.old, fault.new), encoding="utf-8")
        try:
            verdict = UNNOTICED if _passes(fault.tests, source) else NOTICED
        finally:
            path.write_text(whole, encoding="utf-8")
    return Found(fault.file, fault.old, fault.new, verdict, round(time.monotonic() - started, 1))


def _passes(tests: Sequence[str], source: Path) -> bool:
    """Whether these tests pass on this source, in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            sys.dont_write_bytecode = True
            sys.path.insert(0, str(source))
            os.chdir(ROOT)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1), os.dup2(silence, 2)
            import pytest

            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout", "300"]
            status = pytest.main([*options, *(f"tests/{test}" for test in tests)])
            os._exit(0 if status == 0 else 1)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def table(found: Sequence[Found]) -> str:
    """Counts by file, in Markdown."""
    counts = {file: Counter(one.verdict for one in found if one.file == file) for file in {one.file for one in found}}
    lines = ["| file | faults | noticed |", "|---|---|---|"]
    lines += [f"| {file} | {sum(by.values())} | {by[NOTICED]} |" for file, by in sorted(counts.items())]
    return "\n".join([*lines, f"| all | {len(found)} | {sum(by[NOTICED] for by in counts.values())} |"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the faults, print what went unnoticed, and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="under src/understudy; all where none is named")
    parser.add_argument("--out", type=Path, help="JSON lines; what stands there is not tried again")
    parser.add_argument("--trust", action="store_true", help="do not first see that the tests pass without a fault")
    options = parser.parse_args(arguments)
    known = [] if options.out is None or not options.out.exists() else _read(options.out)
    done = {(one.file, one.old, one.new) for one in known}
    wanted = [one for one in faults() if not options.files or one.file in options.files]
    wanted = [one for one in wanted if (one.file, one.old, one.new) not in done]
    _import_once()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(source, quiet=1)
        for file, those in groupby(wanted, key=lambda one: one.file):
            each = list(those)
            if not options.trust and not _passes(each[0].tests, source):
                sys.exit(f"the tests of {file} fail without any fault")
            for fault in each:
                found = tried(fault, source)
                known.append(found)
                _tell(found, options.out)
    print(table(known))
    return int(any(one.verdict != NOTICED for one in known))


def _import_once() -> None:
    """What every child would otherwise import again; nothing of ours, which is another source in each."""
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase  # noqa: F401

    torch.set_num_threads(1)


def _tell(found: Found, out: Path | None) -> None:
    if out is not None:
        with out.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(found)) + "\n")
    if found.verdict != NOTICED:
        print(f"{found.verdict}: {found.file}: {found.old!r} -> {found.new!r}", flush=True)


def _read(path: Path) -> list[Found]:
    return [Found(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
