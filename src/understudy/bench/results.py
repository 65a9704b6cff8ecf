"""What a run leaves: its curves and what it can do, as records that are written to and read from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from understudy.errors import DataError
from understudy.training.durable import write_text


class Record(BaseModel):
    """Written to JSON and read back; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_Form = TypeVar("_Form", bound=Record)


class Measured(Record):
    """A model on the problems of one domain, in one way of answering.

    Args:
        correct: 1 or 0 for each problem, in the data set's order. length: mean tokens. truncated: share cut off.
        reverse_kl: mean log pi_S - log pi_T a token, nats; entropy: mean of the exact entropies, nats; both None where
            it answers greedily, or where nobody teaches.
    """

    correct: tuple[int, ...]
    length: float
    truncated: float
    reverse_kl: float | None = None
    entropy: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return sum(self.correct) / len(self.correct)


class Performance(Record):
    """A model on one domain: greedily, and with one sample a problem at temperature 1."""

    greedy: Measured
    sampled: Measured


class Curves(Record):
    """What happened on the way.

    Args:
        grad_norm: before clipping, one a step. own_entropy: mean -log pi_S of the tokens that the student chose in
            training, nats, one a step; None where it chose none.
        probed: steps at which fresh answers to a few held-out problems were taken; entropy (exact), reverse_kl,
            accuracy, length: of these, one each, on the first domain at temperature 1.
    """

    grad_norm: tuple[float, ...] = ()
    own_entropy: tuple[float | None, ...] = ()
    probed: tuple[int, ...] = ()
    entropy: tuple[float, ...] = ()
    reverse_kl: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    length: tuple[float, ...] = ()


class RunResult(Record):
    """A run, or a model that was only measured.

    Args:
        label: of the contender. seed: of the run and of the answers. recipe: of the run, by its dotted fields; empty
            where nothing was trained. domains: performance by name. seconds: of all training steps, wall clock.
        phases: mean seconds a step by phase. parameters: of student and reference, those that took part.
        diverged: why there are no figures.
    """

    label: str
    seed: int
    recipe: Mapping[str, object]
    domains: Mapping[str, Performance]
    curves: Curves = Curves()
    seconds: float = 0.0
    phases: Mapping[str, float] = {}
    parameters: Mapping[str, int] = {}
    diverged: str | None = None


def write_result(result: Record, path: Path) -> None:
    """Write it whole or not at all."""
    write_text(path, result.model_dump_json() + "\n")


def read_result(path: Path) -> RunResult | None:
    """The result in a file; None where there is no file.

    Raises:
        DataError: the file is not a result.
    """
    return read_record(path, RunResult)


def read_record(path: Path, form: type[_Form]) -> _Form | None:
    """The record of that form in a file; None where there is no file.

    Raises:
        DataError: the file holds something else.
    """
    if not path.is_file():
        return None
    try:
        return form.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is not a result of this bench", remedy="Delete it: its run is then made again."
        ) from error
