"""Parquet files give back the rollouts that were written, and the figures stand beside their tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from understudy.errors import DataError
from understudy.plans import Ids, Likelihood, LossPlan, LossTerm
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, batch_of
from understudy.training import rollout_files
from understudy.training.step import StepResult

NAN = float("nan")


def turn(
    prompt: list[int],
    completion: list[int],
    origin: list[Origin],
    *,
    reward: float = 0.0,
    shown: Any = None,
    deed: Any = None,
) -> Turn:
    own = torch.tensor([who == Origin.STUDENT for who in origin], dtype=torch.bool)
    logprobs = torch.rand(len(completion)).log()
    return Turn(
        prompt_ids=torch.tensor(prompt, dtype=torch.int64),
        completion_ids=torch.tensor(completion, dtype=torch.int64),
        origin=torch.tensor(origin, dtype=torch.int64),
        behaviour_logprob=torch.where(own, logprobs, NAN),
        weight_version=torch.where(own, 5, -1),
        finish_reason=FinishReason.STOP,
        reward=reward,
        shown=shown,
        deed=deed,
    )


S, E, T = Origin.STUDENT, Origin.ENVIRONMENT, Origin.TEACHER

ROLLOUTS = [
    Rollout(
        key=2**62,
        group=1,
        problem="p/1",
        turns=(turn([1, 2], [3, 4, 5], [S, E, S], reward=0.1), turn([1, 2, 3, 4, 5, 6], [7], [T])),
        finish_reason=FinishReason.STOP,
        reward=1 / 3,
        correct=True,
        domain="maths",
        extra={"answer": "ü", "steps": [1, 2.5], "none": None},
        parsed=False,
        num_given=2,
    ),
    Rollout(0, 1, "p/2", (), FinishReason.FAILED),
    Rollout(1, 0, "p/3", (turn([9], [], []), turn([9, 9], [8, 8], [S, S])), FinishReason.LENGTH, correct=False),
    Rollout(
        2,
        0,
        "p/4",
        (turn([], [6, 7], [S, S], shown=[{"role": "user"}], deed={"action": "ü", "repeated": True}),),
        FinishReason.STOP,
        reward=0.0,
    ),
    Rollout(
        3,
        0,
        "p/5",
        (turn([1], [6, 7], [T, S], shown="\ud800", deed={"action": "half \ud83d"}),),
        FinishReason.STOP,
        extra={"half": "\udfff"},
        parsed=True,
        num_given=1,
    ),
]


def assert_equal_tensors(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def assert_equal(found: Rollout, expected: Rollout) -> None:
    for name in ("key", "group", "problem", "finish_reason", "reward", "correct", "domain", "extra"):
        assert getattr(found, name) == getattr(expected, name), name
    assert (found.parsed, found.num_given) == (expected.parsed, expected.num_given)
    assert len(found.turns) == len(expected.turns)
    for one, other in zip(found.turns, expected.turns, strict=True):
        assert (one.finish_reason, one.reward, one.shown) == (other.finish_reason, other.reward, other.shown)
        assert one.deed == other.deed
        for name in ("prompt_ids", "completion_ids", "origin", "behaviour_logprob", "weight_version"):
            assert_equal_tensors(getattr(one, name), getattr(other, name))


def result() -> StepResult:
    batch = batch_of(ROLLOUTS, contexts_of(ROLLOUTS))
    count = batch.table.num_tokens
    table = batch.table.with_tokens(teacher_logprob=-torch.arange(1.0, count + 1))
    plans = []
    for part, rows in enumerate(([0, 1], [3, 5])):
        advantage = torch.tensor([[10.0 * part], [10.0 * part + 1]])
        ids = table["token_id"][rows][:, None]
        term = LossTerm("policy", torch.tensor(rows), torch.full((2,), 0.5), Likelihood(advantage), Ids(ids))
        plans.append(LossPlan([term]))
    return StepResult(4, ROLLOUTS, Batch(batch.contexts, table), plans, [], None, {})


def test_a_file_gives_back_the_very_rollouts(tmp_path: Path) -> None:
    file = rollout_files.file_of(tmp_path / "rollouts", 4)
    rollout_files.write(file, result())
    found = rollout_files.read(file)
    assert len(found) == len(ROLLOUTS)
    for one, other in zip(found, ROLLOUTS, strict=True):
        assert_equal(one, other)
    assert [entry.name for entry in file.parent.iterdir()] == ["step-000004.parquet"]


def test_figures_stand_beside_their_tokens(tmp_path: Path) -> None:
    file = tmp_path / "step.parquet"
    rollout_files.write(file, result(), decode=lambda ids: "".join(chr(97 + int(i)) for i in ids))
    rows = pq.read_table(file).to_pylist()
    assert [row["turn"] for row in rows] == [0, 1, None, 0, 1, 0, 0]
    # Scored rows in order: turn (0,0) has two (its middle token is the environment's), (0,1) one, (2,1) two,
    # and the last turn one: no model predicts the first token of a context without a prompt.
    expected = [[-1, NAN, -2], [-3], None, [], [-4, -5], [NAN, -6], [-7, -8]]
    for row, values in zip(rows, expected, strict=True):
        if values is None:
            assert row["teacher_logprob"] is None
            continue
        assert [v for v in row["teacher_logprob"] if not math.isnan(v)] == [v for v in values if not math.isnan(v)]
        assert [math.isnan(v) for v in row["teacher_logprob"]] == [math.isnan(v) for v in values]
    assert rows[0]["policy/advantage"][0] == 0 and rows[0]["policy/advantage"][2] == 1  # from the first update
    assert rows[4]["policy/advantage"][0] == 10 and math.isnan(rows[4]["policy/advantage"][1])
    assert rows[5]["policy/advantage"][1] == 11
    assert rows[4]["policy/weight"] == [0.5, 0.0]
    assert (rows[0]["prompt"], rows[0]["completion"], rows[2]["prompt"]) == ("bc", "def", None)


def test_tokens_that_a_view_left_out_have_no_figure_and_the_others_keep_theirs(tmp_path: Path) -> None:
    whole, file = result(), tmp_path / "step.parquet"
    table = whole.batch.table.keep_rows(torch.tensor([1, 2, 4, 6]))
    rollout_files.write(file, replace(whole, batch=Batch(whole.batch.contexts, table), plans=[]))
    expected = [[NAN, NAN, -2], [-3], None, [], [NAN, -5], [NAN, NAN], [-7, NAN]]
    for row, values in zip(pq.read_table(file).to_pylist(), expected, strict=True):
        assert (row["teacher_logprob"] is None) == (values is None)
        assert str(row["teacher_logprob"]) == str(values and [float(value) for value in values])


def test_a_file_that_is_none_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "step.parquet"
    file.write_text("nonsense")
    with pytest.raises(DataError, match="holds no rollouts"):
        rollout_files.read(file)


def test_rollouts_without_a_step_are_kept_with_what_is_said_of_them(tmp_path: Path) -> None:
    file = tmp_path / "written" / "000000.parquet"
    rollout_files.write_plain(file, ROLLOUTS, about={"writer": "ü"})
    for one, other in zip(rollout_files.read(file), ROLLOUTS, strict=True):
        assert_equal(one, other)
    assert rollout_files.read_about(file) == {"writer": "ü"}
    assert [entry.name for entry in file.parent.iterdir()] == ["000000.parquet"]
    with pytest.raises(DataError, match="holds no rollouts"):
        rollout_files.read_about(tmp_path / "none.parquet")


def test_files_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    file = tmp_path / "step.parquet"
    rollout_files.write_plain(file, ROLLOUTS, about={})
    pq.write_table(pq.read_table(file).drop_columns(["parsed", "num_given", "shown", "deed"]), file)
    found = rollout_files.read(file)
    assert [rollout.parsed for rollout in found] == [None] * len(ROLLOUTS)
    assert_equal(found[2], ROLLOUTS[2])
