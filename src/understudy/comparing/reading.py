"""The two sides of a comparison as they lie on disk: a suite's result, a folder of them, a run, an office result."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from understudy.comparing.marks import Marks, marks_of
from understudy.comparing.office_results import RESULTS, OfficeResults, is_office, read_office
from understudy.errors import DataError
from understudy.evaluation.samples import SampleRecord
from understudy.evaluation.suites import SuiteResult, read_suite_result

_STEP = re.compile(r"step-(\d+)-")


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Args:
        path: as given. label: what to call it. marks: by suite. results: the suites' results, every sample kept.
        office: where the side is an office result.
    """

    path: Path
    label: str
    marks: Mapping[str, Marks]
    results: Mapping[str, SuiteResult]
    office: OfficeResults | None = None

    @cached_property
    def samples(self) -> Mapping[tuple[str, str], Sequence[SampleRecord]]:
        """The attempts at each problem, by suite and problem."""
        found: dict[tuple[str, str], list[SampleRecord]] = defaultdict(list)
        for suite, result in self.results.items():
            for sample in result.samples:
                found[suite, sample.problem].append(sample)
        return found


def read_side(path: Path) -> Side:
    """Read what ``path`` is: a result file, a folder of them, a run (its newest of each suite), an office result.

    Raises:
        DataError: it is none of these.
    """
    if path.is_file():
        return _office_side(path, path.parent) if is_office(path) else _suites_side(path, [path])
    if (path / RESULTS).is_file():
        return _office_side(path, path)
    is_run = (path / "recipe.yaml").is_file()
    folder = path / "evaluation" if is_run or (path / "evaluation").is_dir() else path
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise DataError(
            f"{path} holds no results to compare",
            expected="a suite's result (evaluation/*.json), a folder of them, a run, or an office result",
            remedy="Make one with `understudy evaluate MODEL --suite NAME --out FOLDER`.",
        )
    return _suites_side(path, _newest(files))


def _office_side(path: Path, folder: Path) -> Side:
    office = read_office(folder)
    marks = office.marks
    return Side(path, office.label, {marks.suite: marks}, {}, office)


def _suites_side(path: Path, files: list[Path]) -> Side:
    results: dict[str, SuiteResult] = {}
    marks: dict[str, Marks] = {}
    for file in files:
        result = read_suite_result(file)
        if not result.samples:
            raise DataError(f"{file} has no samples to compare")
        if result.name in results:
            raise DataError(
                f"{path} holds two results of suite {result.name!r}",
                got=f"{marks[result.name].source.name} and {file.name}",
                remedy="Name the file that is meant.",
            )
        results[result.name], marks[result.name] = result, marks_of(result, file)
    return Side(path, _label(path), marks, results)


def _newest(files: list[Path]) -> list[Path]:
    """A run keeps every examination; its newest stand for it, and its teacher is another model."""
    own = [file for file in files if not file.name.startswith("teacher-")] or files
    steps = {file: int(match.group(1)) for file in own if (match := _STEP.match(file.name))}
    newest: dict[str, Path] = {}
    for file in sorted(steps, key=lambda file: steps[file]):
        newest[_STEP.sub("", file.name)] = file
    return [file for file in own if file not in steps or file in newest.values()]


def _label(path: Path) -> str:
    """What a reader knows the side by: a file's or folder's name, with its run's where the name is the same in all."""
    resolved = path.resolve()
    if resolved.parent.name == "evaluation":
        return f"{resolved.parent.parent.name}/{resolved.stem}"
    return resolved.parent.name if resolved.name == "evaluation" else resolved.stem if path.is_file() else resolved.name
