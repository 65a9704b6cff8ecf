"""The folder of a comparison: what is in it, and whether it is this comparison's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from understudy.bench.results import RunResult, read_result
from understudy.errors import RunDirectoryError
from understudy.training.durable import write_json
from understudy.written_whole import is_untouched

MARK = "bench.json"
KIND = "understudy bench methods"


class Defined(Protocol):
    """What two sessions of one comparison must agree on."""

    def to_json(self) -> dict[str, object]:
        """In JSON's types."""
        ...


@dataclass(frozen=True)
class BenchFolder:
    """Where a comparison keeps everything.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def runs(self) -> Path:
        """Run directories, as ``understudy train`` leaves them."""
        return self.path / "runs"

    @property
    def told(self) -> Path:
        """The teachers' own solutions of the training problems."""
        return self.path / "told"

    @property
    def average(self) -> Path:
        """The model whose weights are the mean of several."""
        return self.path / "average"

    def result_file(self, label: str, *, seed: int) -> Path:
        """Of a run or of a measured model."""
        return self.path / "results" / f"{label}-seed{seed}.json"

    def tuning_file(self, label: str, *, rate: float) -> Path:
        """Of a run that a learning rate is chosen by."""
        return self.path / "tuning" / f"{label}-rate{rate:g}.json"


def open_folder(path: Path, definition: Defined, *, kind: str = KIND) -> BenchFolder:
    """Make the folder, or open it again where it holds the same comparison.

    Args:
        kind: the command whose comparison it is.
    Raises:
        RunDirectoryError: it holds something else, or a comparison that differs; the fields are named.
    """
    mark = path / MARK
    if mark.is_file():
        _refuse_another(path, _written(mark), {"kind": kind, **definition.to_json()})
    elif not is_untouched(path):
        raise RunDirectoryError(
            f"{path} exists and holds no comparison of methods", remedy="Choose another folder with --out."
        )
    else:
        write_json(mark, {"kind": kind, **definition.to_json()})
    return BenchFolder(path)


def _written(mark: Path) -> dict[str, object]:
    try:
        return dict(json.loads(mark.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunDirectoryError(
            f"{mark} cannot be read", got=error, remedy="Choose another folder with --out."
        ) from error


def _refuse_another(path: Path, found: dict[str, object], wanted: dict[str, object]) -> None:
    differing = [f"{name}: {found.get(name)} -> {value}" for name, value in wanted.items() if found.get(name) != value]
    if differing:
        raise RunDirectoryError(
            f"{path} holds another comparison",
            got="; ".join(differing),
            remedy="Choose another folder with --out, or the options that it began with.",
        )


def kept_result(file: Path, recipe: object) -> RunResult | None:
    """The result in a file, which must be of this very recipe; None where there is none yet.

    Raises:
        RunDirectoryError: it was made by another recipe, as after a change of a method's defaults.
    """
    found = read_result(file)
    if found is not None and found.recipe != recipe:
        raise RunDirectoryError(
            f"{file} was made by another recipe than the one that would be run now",
            remedy="Choose another folder with --out, or delete the file to make its run again.",
        )
    return found
