"""Rollouts as Parquet: one row a turn, with the exact token ids and every figure of each token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import torch
from torch import Tensor

from understudy.errors import DataError
from understudy.objectives.objective import plan_columns
from understudy.rollouts import FinishReason, Rollout, Turn
from understudy.tokens import TokenTable
from understudy.training.durable import write_file
from understudy.training.magnifying import Magnified
from understudy.training.ranks import Ranks
from understudy.training.step import StepResult

Decode = Callable[[Tensor], str]

_IDS, _FIGURES = pa.list_(pa.int64()), pa.list_(pa.float32())
_WIDE_IDS, _WIDE_FIGURES = pa.list_(_IDS), pa.list_(_FIGURES)

_SCHEMA = {
    "step": pa.int64(),
    "rollout": pa.int64(),
    "key": pa.int64(),
    "group": pa.int64(),
    "problem": pa.string(),
    "domain": pa.string(),
    "reward": pa.float64(),
    "correct": pa.bool_(),
    "finish_reason": pa.string(),
    "extra": pa.string(),
    "parsed": pa.bool_(),
    "num_given": pa.int64(),
    "turn": pa.int64(),
    "turn_reward": pa.float64(),
    "turn_finish_reason": pa.string(),
    "prompt": pa.string(),
    "completion": pa.string(),
    "prompt_ids": _IDS,
    "completion_ids": _IDS,
    "origin": pa.list_(pa.int8()),
    "behaviour_logprob": _FIGURES,
    "weight_version": _IDS,
    "shown": pa.string(),
    "deed": pa.string(),
}
"""Columns of a rollout, then of a turn; a rollout without turns is one row whose turn is null."""

_TOKEN_COLUMNS = ("student_logprob", "student_entropy", "teacher_logprob", "teacher_entropy", "reference_logprob")


def file_of(folder: Path, step: int) -> Path:
    """Where a step's rollouts stand.

    >>> file_of(Path("rollouts"), 10).name
    'step-000010.parquet'
    """
    return folder / f"step-{step:06d}.parquet"


def write(path: Path, result: StepResult, *, decode: Decode | None = None, ranks: Ranks | None = None) -> None:
    """Write a step's rollouts atomically, with log-probs, entropies, weights and advantages beside their tokens.

    Columns beyond those of a rollout are lists as long as ``completion_ids``: NaN where a token was not scored. Of the
    rollouts that were magnified, ``student_top_ids`` and ``student_top_logprobs`` hold the likeliest tokens at each
    place, and so do the teacher's; null everywhere else.

    Args:
        decode: [C] ids to text, for the columns ``prompt`` and ``completion``.
        ranks: the first one writes the rollouts of all, by their keys.
    """
    content = _content(result, decode)
    if ranks is not None and ranks.size > 1:
        parts = ranks.gather(_packed(content))
        if ranks.rank != 0:
            return
        content = _merged([pa.ipc.open_stream(part).read_all() for part in parts])
    write_file(path, lambda beside: pq.write_table(content, beside, compression="zstd"))


def _packed(content: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema) as stream:
        stream.write_table(content)
    return sink.getvalue().to_pybytes()


def _merged(parts: Sequence[pa.Table]) -> pa.Table:
    """All ranks' rows in the order of their keys, numbered anew."""
    together = pa.concat_tables(parts, promote_options="default")
    order = pa.compute.sort_indices(together, sort_keys=[("key", "ascending"), ("turn", "ascending")])
    together = together.take(order)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(together["key"].to_pylist()))}
    column = pa.array([numbers[key] for key in together["key"].to_pylist()], pa.int64())
    return together.set_column(together.schema.get_field_index("rollout"), "rollout", column)


def _content(result: StepResult, decode: Decode | None) -> pa.Table:
    """One row a turn of this rank's rollouts."""
    table = result.batch.table
    columns = token_columns(result)
    by_turn = {name: _by_turn(column, table, result.rollouts) for name, column in columns.items()}
    rows: list[dict[str, Any]] = []
    turn_row = 0
    for index, rollout in enumerate(result.rollouts):
        shared = {"step": result.step, "rollout": index, **_rollout_row(rollout)}
        if not rollout.turns:
            rows.append(shared)
        for number, turn in enumerate(rollout.turns):
            figures = {name: lists[turn_row] for name, lists in by_turn.items()}
            rows.append({**shared, "turn": number, **_turn_row(turn, decode), **figures})
            turn_row += 1
    tops = {
        name: column for who, top in result.magnified.items() for name, column in _top_columns(who, top, result).items()
    }
    for name, column in tops.items():
        for row, values in zip((row for row in rows if "turn" in row), column, strict=True):
            row[name] = values
    kinds = {name: _WIDE_IDS if name.endswith("_ids") else _WIDE_FIGURES for name in tops}
    schema = pa.schema({**_SCHEMA, **dict.fromkeys(columns, _FIGURES), **kinds})
    return pa.Table.from_pylist(rows, schema=schema)


def write_plain(path: Path, rollouts: Sequence[Rollout], *, about: Mapping[str, str]) -> None:
    """Write rollouts atomically, without any figures that a step adds; ``about`` is what ``read_about`` gives back."""
    rows = [
        {"rollout": index, **_rollout_row(rollout), **turn}
        for index, rollout in enumerate(rollouts)
        for turn in ([{"turn": n, **_turn_row(turn, None)} for n, turn in enumerate(rollout.turns)] or [{}])
    ]
    content = pa.Table.from_pylist(rows, schema=pa.schema(_SCHEMA, metadata=dict(about)))
    write_file(path, lambda beside: pq.write_table(content, beside, compression="zstd"))


def read_about(path: Path) -> dict[str, str]:
    """What ``write_plain`` was told of the rollouts.

    Raises:
        DataError: the file is missing or is not one of ours.
    """
    try:
        found = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} holds no rollouts", got=_reason(error)) from error
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}


def token_columns(result: StepResult) -> dict[str, Tensor]:
    """[N] figures of each scored token: log-probs and entropies, then ``<term>/weight``, ``<term>/advantage`` and told.

    With several updates a step, a token's weight and advantage are those of the update that it took part in.
    """
    table = result.batch.table
    columns = {name: table.tokens[name].float() for name in _TOKEN_COLUMNS if name in table.tokens}
    for plan in result.plans:
        for name, column in plan_columns(plan, table.num_tokens).items():
            before = columns.get(name)
            if before is not None:  # outside its update a token's weight is 0 and its other columns are NaN
                column = torch.where(column.isnan() | ((column == 0) & ~before.isnan()), before, column)
            columns[name] = column
    return columns


def read(path: Path) -> list[Rollout]:
    """The rollouts of a file, equal to those that were written (values of ``extra`` as JSON gives them back).

    Raises:
        DataError: the file is missing or is not one of ours.
    """
    try:
        known = set(pq.read_schema(path).names)  # a file of an earlier version has fewer columns
        rows = pq.read_table(path, columns=[name for name in _SCHEMA if name in known]).to_pylist()
        return [_rollout_of(list(turns)) for _, turns in groupby(rows, key=lambda row: row["rollout"])]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(f"{path} holds no rollouts", got=_reason(error)) from error


def _reason(error: Exception) -> str:
    said = (str(error).strip().splitlines() or [""])[0]
    return said if isinstance(error, OSError | pa.ArrowException) and said else f"{type(error).__name__}: {said}"


def _rollout_row(rollout: Rollout) -> dict[str, Any]:
    return {
        "key": rollout.key,
        "group": rollout.group,
        "problem": rollout.problem.encode("utf-8", "backslashreplace").decode(),
        "domain": rollout.domain,
        "reward": rollout.reward,
        "correct": rollout.correct,
        "finish_reason": str(rollout.finish_reason),
        "extra": _json(dict(rollout.extra)),
        "parsed": rollout.parsed,
        "num_given": rollout.num_given,
    }


def _turn_row(turn: Turn, decode: Decode | None) -> dict[str, Any]:
    return {
        "turn_reward": turn.reward,
        "turn_finish_reason": str(turn.finish_reason),
        "prompt": None if decode is None else decode(turn.prompt_ids),
        "completion": None if decode is None else decode(turn.completion_ids),
        "prompt_ids": turn.prompt_ids.numpy(),
        "completion_ids": turn.completion_ids.numpy(),
        "origin": turn.origin.numpy(),
        "behaviour_logprob": turn.behaviour_logprob.numpy(),
        "weight_version": turn.weight_version.numpy(),
        "shown": None if turn.shown is None else json.dumps(turn.shown, default=str),
        "deed": None if turn.deed is None else _json(dict(turn.deed)),
    }


def _json(content: Mapping[str, object]) -> str:
    """JSON that UTF-8 can hold: halves of surrogate pairs, which other JSON may bring, stay escapes."""
    text = json.dumps(content, ensure_ascii=False, default=str)
    is_whole = text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
    return text if is_whole else json.dumps(content, default=str)


def _top_columns(who: str, top: Magnified, result: StepResult) -> dict[str, list[list[list[float]] | None]]:
    """Ids and log-probs at each token of each turn; None for turns that were not magnified."""
    place = torch.full((result.batch.table.num_tokens,), float("nan"), dtype=torch.float64)
    place[top.rows] = torch.arange(top.rows.numel(), dtype=torch.float64)
    columns: dict[str, list[list[list[float]] | None]] = {}
    for name, values in (("ids", top.ids), ("logprobs", top.logprobs)):
        content = values.tolist()
        columns[f"{who}_top_{name}"] = [
            [[] if number != number else content[int(number)] for number in turn.tolist()]
            if bool((turn == turn).any())
            else None
            for turn in _by_turn(place, result.batch.table, result.rollouts)
        ]
    return columns


def _by_turn(column: Tensor, table: TokenTable, rollouts: Sequence[Rollout]) -> list[Any]:
    """The column cut into turns, each as long as its completion, NaN at tokens that have no row."""
    turns = [turn for rollout in rollouts for turn in rollout.turns]
    lengths = torch.tensor([turn.completion_ids.numel() for turn in turns], dtype=torch.int64)
    # A turn's prompt is all that stands before its completion, also where several turns share a context.
    before = torch.tensor([turn.prompt_ids.numel() for turn in turns], dtype=torch.int64)
    starts, turn_of_row = lengths.cumsum(0) - lengths - before, table["turn"]
    spread = torch.full((int(lengths.sum()),), float("nan"), dtype=column.dtype)
    spread[starts[turn_of_row] + table["position"]] = column
    return [part.numpy() for part in spread.split(lengths.tolist())]


def _rollout_of(rows: Sequence[Mapping[str, Any]]) -> Rollout:
    first = rows[0]
    return Rollout(
        key=first["key"],
        group=first["group"],
        problem=first["problem"],
        turns=tuple(_turn_of(row) for row in rows if row["turn"] is not None),
        finish_reason=FinishReason(first["finish_reason"]),
        reward=first["reward"],
        correct=first["correct"],
        domain=first["domain"],
        extra=json.loads(first["extra"]),
        parsed=first.get("parsed"),
        num_given=first.get("num_given"),
    )


def _turn_of(row: Mapping[str, Any]) -> Turn:
    return Turn(
        prompt_ids=torch.tensor(row["prompt_ids"], dtype=torch.int64),
        completion_ids=torch.tensor(row["completion_ids"], dtype=torch.int64),
        origin=torch.tensor(row["origin"], dtype=torch.int64),
        behaviour_logprob=torch.tensor(row["behaviour_logprob"], dtype=torch.float32),
        weight_version=torch.tensor(row["weight_version"], dtype=torch.int64),
        finish_reason=FinishReason(row["turn_finish_reason"]),
        reward=row["turn_reward"],
        shown=None if row.get("shown") is None else json.loads(row["shown"]),
        deed=None if row.get("deed") is None else json.loads(row["deed"]),
    )
