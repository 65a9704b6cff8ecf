"""How each benchmark runs a program: its files, its tests, its times."""

from __future__ import annotations

import ast
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import DataError
from understudy.sandbox import Limits, Outcome, Speaker, converse, libraries, run
from understudy.tasks.code import within
from understudy.tasks.code.comparing import same_output, same_value
from understudy.tasks.code.extraction import Block, fenced, humaneval_program
from understudy.tasks.code.stored_tests import StoredTest, stored_tests
from understudy.tasks.templates import missing_column
from understudy.tasks.verdicts import Columns, UnreadableGoldError, Verdict, verdict

_WITHIN = Path(within.__file__).read_text(encoding="utf-8")
_MEMORY_BYTES = 2 << 30
_OUTPUT_BYTES = 8 << 20
_HEAD_START_SECONDS = 5.0  # LiveCodeBench's, for the whole run, beside one second a test


@dataclass(frozen=True)
class Settings:
    """What the recipe says.

    Args:
        block: which fenced block is the program. seconds: wall clock of one test; of all together, for ``humaneval``
            and ``function``. column: where ``function`` finds its tests.
    """

    block: Block
    seconds: float
    column: str


def humaneval(completion: str, columns: Columns, settings: Settings) -> Verdict:
    """HumanEval's protocol: ``check(function)`` of the column ``test``, in another sandbox than the function.

    Source: Chen et al., arXiv:2107.03374.
    """
    prompt, tests, name = (_text(columns, column) for column in ("prompt", "test", "entry_point"))
    _check_syntax(tests)
    if not completion.strip():
        return verdict(None, correct=False)
    program = humaneval_program(completion, prompt=prompt, entry_point=name, which=settings.block)
    problem = {"before": prompt + "\n    pass\n", "tests": tests, "entry_point": name}
    return _conversed(program, problem, settings=settings)


def function(completion: str, columns: Columns, settings: Settings) -> Verdict:
    """Assertions about functions of the program, a text or a list of texts, as in MBPP (arXiv:2108.07732).

    A column ``before`` holds code that the program may use, such as the earlier steps of a SciCode problem
    (arXiv:2407.13168); the tests do not see it.
    """
    program = fenced(completion, settings.block)
    tests = columns.get(settings.column)
    if settings.column not in columns:
        raise missing_column(settings.column, columns)
    text = "\n".join(map(str, tests)) if isinstance(tests, list | tuple) else str(tests or "")
    if "assert" not in text:
        raise UnreadableGoldError(f"column {settings.column!r} holds no assertion", got=repr(text)[:80])
    _check_syntax(text)
    if program is None:
        return verdict(None, correct=False)
    problem = {"before": "", "tests": text, "entry_point": ""}
    return _conversed(program, problem, settings=settings, prelude=str(columns.get("before") or ""))


def livecodebench(completion: str, columns: Columns, settings: Settings) -> Verdict:
    """LiveCodeBench's protocol: each test a process that has the input and not the output.

    Source: Jain et al., arXiv:2403.07974.
    """
    tests = [
        test
        for column in ("public_test_cases", "private_test_cases")
        if column in columns
        for test in stored_tests(_text(columns, column), column=column)
    ]
    if not tests:
        raise missing_column("public_test_cases", columns)
    name = _function_name(columns) if any(test.kind == "functional" for test in tests) else ""
    program = fenced(completion, settings.block)
    if program is None:
        return verdict(None, correct=False)
    passes = all(_passes(program, test, name=name, seconds=seconds) for test, seconds in _timed(tests, settings))
    return verdict(program, correct=passes)


Protocol = Callable[[str, Columns, Settings], Verdict]
PROTOCOLS: Mapping[str, Protocol] = {"humaneval": humaneval, "function": function, "livecodebench": livecodebench}
DEFAULT_SECONDS: Mapping[str, float] = {"humaneval": 10.0, "function": 10.0, "livecodebench": 6.0}


def _check_syntax(tests: str) -> None:
    """Raise before anything runs, so that a row is found wanting when the data is read."""
    try:
        ast.parse(tests)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UnreadableGoldError("the tests of a row are no Python", got=str(error)[:200]) from error


def _timed(tests: list[StoredTest], settings: Settings) -> Iterator[tuple[StoredTest, float]]:
    """Each test with its time; none is left when the whole run's is used up."""
    until = time.monotonic() + (settings.seconds + 1) * len(tests) + _HEAD_START_SECONDS
    for test in tests:
        yield test, max(0.1, min(settings.seconds, until - time.monotonic()))


def _passes(program: str, test: StoredTest, *, name: str, seconds: float) -> bool:
    if test.kind == "stdin":
        outcome = _ran(program, "script", stdin=test.input, seconds=seconds)
        return outcome.ended == "exit" and outcome.exit_status == 0 and same_output(outcome.stdout, test.output)
    given = [json.loads(line) for line in test.input.split("\n") if line.strip()]
    question = json.dumps([name, within.packed(given), within.packed({})])
    lines = _ran(program, "answer", stdin=question + "\n", seconds=seconds).stdout.splitlines()
    try:
        kind, value = json.loads(lines[1])[:2]
        return kind == "value" and same_value(within.unpacked(value), json.loads(test.output))
    except (ValueError, IndexError, TypeError, KeyError, RecursionError):
        return False


def _function_name(columns: Columns) -> str:
    name: Any = None
    with suppress(ValueError, AttributeError):
        name = json.loads(_text(columns, "metadata")).get("func_name")
    if not isinstance(name, str):
        raise DataError(
            "column 'metadata' names no function", got=repr(columns.get("metadata"))[:80], expected="func_name"
        )
    return name


def _ran(program: str, part: str, *, stdin: str, seconds: float) -> Outcome:
    with _folder({"program.py": program, "prelude.py": within.prelude()}) as folder:
        return run(_command(part), folder=folder, stdin=stdin, limits=_limits(seconds), readable=libraries())


def _conversed(program: str, problem: Mapping[str, str], *, settings: Settings, prelude: str = "") -> Verdict:
    """The verdict of tests that speak to the program from a sandbox of their own."""
    with (
        _folder({"program.py": program, "prelude.py": prelude}) as answering,
        _folder({"problem.json": json.dumps(dict(problem))}) as asking,
    ):
        limits = _limits(settings.seconds)
        parts = (("check", asking), ("answer", answering))
        outcome = converse(*(Speaker(_command(part), at, limits, libraries()) for part, at in parts)).first
    if outcome.exit_status == within.UNUSABLE:
        raise UnreadableGoldError("the tests of a row cannot be used", got=outcome.stderr.strip()[:200])
    is_read = outcome.exit_status != within.UNREADABLE
    return verdict(program if is_read else None, correct=outcome.exit_status == within.PASSED)


def _command(part: str) -> list[str]:
    return ["python3", "-S", "-c", _WITHIN, part, *map(str, libraries())]


def _limits(seconds: float) -> Limits:
    return Limits(wall_seconds=seconds, cpu_seconds=seconds + 1, memory_bytes=_MEMORY_BYTES, output_bytes=_OUTPUT_BYTES)


@contextmanager
def _folder(files: Mapping[str, str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="understudy-") as name:
        for file, text in files.items():
            (Path(name) / file).write_text(text, encoding="utf-8", errors="replace")
        yield Path(name)


def _text(columns: Columns, column: str) -> str:
    if column not in columns:
        raise missing_column(column, columns)
    value = columns[column]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"column {column!r} is no text", got=repr(value)[:80], expected="text")
    return value
