"""Rollouts of a run for the page: a few of the first, a middle and the last saved step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from understudy.errors import first_line
from understudy.reports.figures import as_mapping, as_number
from understudy.rollouts import Origin

PER_STEP = 6
_NEAR = 30
"""So many files around the middle one are looked into."""

Row = Mapping[str, object]
Figures = np.ndarray
"""[C] float64, NaN where a token has none."""


@dataclass(frozen=True, eq=False)
class TopTokens:
    """One model's likeliest tokens at each place of a completion: ids and log-probs (nats), most likely first."""

    ids: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False)
class SavedTurn:
    """One turn as it was saved.

    Args:
        prompt_ids, completion_ids, origin: exact. prompt, completion: as text; None where the run had no decoder.
        figures: by name, each as long as ``completion_ids``. finish_reason: why it ended. reward: of the turn.
        shown: what the environment showed, as text. deed: what it says was done; empty where it says nothing.
        tops: the likeliest tokens by ``student`` and ``teacher``; empty where they were not kept.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    origin: tuple[int, ...]
    prompt: str | None
    completion: str | None
    figures: Mapping[str, Figures]
    finish_reason: str
    reward: float | None = None
    shown: str | None = None
    deed: Mapping[str, object] = field(default_factory=dict)
    tops: Mapping[str, TopTokens] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SavedRollout:
    """One attempt as it was saved; ``kl`` is its mean reverse KL by k1 over the student's tokens, None without any."""

    step: int
    index: int
    problem: str
    domain: str
    reward: float | None
    correct: bool | None
    finish_reason: str
    turns: tuple[SavedTurn, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens of all completions."""
        return sum(len(turn.completion_ids) for turn in self.turns)

    @property
    def is_magnified(self) -> bool:
        """Whether likeliest tokens were kept of it."""
        return any(turn.tops for turn in self.turns)

    @property
    def kl(self) -> float | None:
        """Nats per token."""
        values = np.concatenate([_own_kl(turn) for turn in self.turns]) if self.turns else np.empty(0)
        return float(values.mean()) if values.size else None


@dataclass(frozen=True, eq=False)
class SavedStep:
    """The rollouts chosen from one step, of ``total``; ``order`` says by what they are sorted."""

    step: int
    total: int
    order: str
    rollouts: tuple[SavedRollout, ...]


@dataclass(frozen=True, eq=False)
class WholeStep:
    """All rollouts of one saved step."""

    step: int
    rollouts: tuple[SavedRollout, ...]


def read_steps(run: Path) -> tuple[tuple[SavedStep, ...], tuple[str, ...]]:
    """The chosen steps that can be read, and a sentence for each file that cannot."""
    files = sorted((run / "rollouts").glob("step-*.parquet"))
    chosen = dict.fromkeys([files[0], _middle(files), files[-1]]) if files else {}
    steps, notes = [], []
    for file in chosen:
        try:
            rows = pq.read_table(file)
            rollouts = _rollouts(rows)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            notes.append(f"rollouts/{file.name} cannot be read: {first_line(error)}")
            continue
        if rollouts:
            steps.append(chosen_of(rollouts))
    return tuple(steps), tuple(notes)


def step_files(run: Path) -> dict[int, Path]:
    """Every saved step of a run with its file, ascending."""
    named = [(file.stem.removeprefix("step-"), file) for file in sorted((run / "rollouts").glob("step-*.parquet"))]
    return {int(number): file for number, file in named if number.isascii() and number.isdigit()}


def read_step(file: Path) -> WholeStep | None:
    """All rollouts of one saved step; None where there are none, or the file cannot be read."""
    with suppress(OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        rollouts = _rollouts(pq.read_table(file))
        return WholeStep(rollouts[0].step, tuple(rollouts)) if rollouts else None
    return None


def _middle(files: Sequence[Path]) -> Path:
    """The file in the middle, or one near it whose rollouts have more to show."""
    middle = len(files) // 2
    for place in sorted(range(len(files)), key=lambda place: abs(place - middle))[:_NEAR]:
        with suppress(OSError, pa.ArrowException, ValueError):  # the last for names that are no text
            if "student_top_ids" in pq.read_schema(files[place]).names:
                return files[place]
    return files[middle]


def read_ends(run: Path) -> tuple[WholeStep, ...]:
    """All rollouts of the first and the last saved step that can be read; one step where there is but one."""
    files = sorted((run / "rollouts").glob("step-*.parquet"))
    found = [
        read_step(file) for file in dict.fromkeys([*files[:1], *files[-1:]])
    ]  # ``read_steps`` tells of unreadable ones
    return tuple(step for step in found if step is not None)


def chosen_of(rollouts: Sequence[SavedRollout]) -> SavedStep:
    """Rollouts spread evenly from the best to the worst, by reward where it tells them apart, else by KL.

    Where likeliest tokens were kept of some, chosen by the same rule, those are shown.
    """
    by_reward = len({rollout.reward for rollout in rollouts} - {None}) > 1
    order = f"spread evenly by {'reward' if by_reward else 'reverse KL'}, highest first"

    def rank(rollout: SavedRollout) -> tuple[float, float, int]:
        reward = -(rollout.reward if rollout.reward is not None else -np.inf) if by_reward else 0.0
        return reward, -(rollout.kl if rollout.kl is not None else -np.inf), rollout.index

    ranked = sorted(rollouts, key=rank)
    some = [rollout for rollout in ranked if rollout.is_magnified] or ranked
    places = np.unique(np.linspace(0, len(some) - 1, min(PER_STEP, len(some))).round().astype(int))
    return SavedStep(ranked[0].step, len(ranked), order, tuple(some[place] for place in places))


def _rollouts(table: pa.Table) -> list[SavedRollout]:
    names = [name for name in table.column_names if pa.types.is_list(table.schema.field(name).type)]
    figures = [name for name in names if pa.types.is_floating(table.schema.field(name).type.value_type)]
    rows = table.to_pylist()
    grouped = [list(turns) for _, turns in groupby(rows, key=lambda row: row["rollout"])]
    return [_rollout(turns, figures) for turns in grouped]


def _rollout(rows: Sequence[Row], figures: Sequence[str]) -> SavedRollout:
    first = rows[0]
    correct = first["correct"]
    return SavedRollout(
        step=_whole(first["step"]),
        index=_whole(first["rollout"]),
        problem=str(first["problem"]),
        domain=str(first["domain"] or ""),
        reward=as_number(first["reward"]),
        correct=correct if isinstance(correct, bool) else None,
        finish_reason=str(first["finish_reason"]),
        turns=tuple(_turn(row, figures) for row in rows if row["turn"] is not None),
    )


def _turn(row: Row, figures: Sequence[str]) -> SavedTurn:
    completion = _ids(row["completion_ids"])
    columns = {name: np.asarray(row[name], dtype=np.float64) for name in figures if row[name] is not None}
    return SavedTurn(
        prompt_ids=_ids(row["prompt_ids"]),
        completion_ids=completion,
        origin=_ids(row["origin"]),
        prompt=_text(row.get("prompt")),
        completion=_text(row.get("completion")),
        figures={name: column for name, column in columns.items() if len(column) == len(completion)},
        finish_reason=str(row["turn_finish_reason"]),
        reward=as_number(row.get("turn_reward")),
        shown=_shown(row.get("shown")),
        deed=as_mapping(_json(row.get("deed"))),
        tops={who: top for who in ("student", "teacher") if (top := _top(row, who, len(completion))) is not None},
    )


def _top(row: Row, who: str, length: int) -> TopTokens | None:
    ids, logprobs = row.get(f"{who}_top_ids"), row.get(f"{who}_top_logprobs")
    if not isinstance(ids, list) or not isinstance(logprobs, list) or not len(ids) == len(logprobs) == length:
        return None
    return TopTokens(
        ids=tuple(_ids(some) for some in ids),
        logprobs=tuple(tuple(float(one) for one in some or ()) for some in logprobs),
    )


def own_logprob(turn: SavedTurn) -> Figures:
    """[C] the student's log-prob of its own tokens, else NaN; the sampler's where there is no student's."""
    student = turn.figures.get("student_logprob", turn.figures.get("behaviour_logprob"))
    if student is None:
        return np.full(len(turn.completion_ids), np.nan)
    return np.where(np.asarray(turn.origin) == Origin.STUDENT, student, np.nan)


def _own_kl(turn: SavedTurn) -> Figures:
    """[<= C] student minus teacher log-prob of the student's own tokens."""
    teacher = turn.figures.get("teacher_logprob")
    if teacher is None:
        return np.empty(0)
    difference = own_logprob(turn) - teacher
    return difference[np.isfinite(difference)]


def _shown(value: object) -> str | None:
    """What was shown as text: of messages, what they say."""
    content = _json(value)
    if isinstance(content, list):
        return "\n".join(str(as_mapping(message).get("content") or "") for message in content)
    return content if isinstance(content, str) else None


def _json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def _ids(value: object) -> tuple[int, ...]:
    return tuple(int(one) for one in value) if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int) else 0
