"""NaN in a loss: the run stops with the step, the term and the rollouts, and what was learnt stays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

import understudy as us
from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import Workplace, metrics_of, save_model
from understudy.errors import NonFiniteError
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.tokens import TokenTable
from understudy.training import checkpoint, rollout_files


def test_a_teacher_that_answers_nan(place: Workplace, understudy: Understudy) -> None:
    """Only where the student says w17, so that nothing shows before the loss."""
    save_model(place.path / "broken", seed=1, broken_word=17)
    ended = understudy("train", "tiny.yaml", "teacher.model=broken", "evaluation.teacher=false")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    said = ended.err.splitlines()[-1]
    done = len(metrics_of(place.run))
    assert said.startswith(f"understudy: step {done}: the loss term 'policy' is not finite; got nan")
    file = rollout_files.file_of(place.run / "rollouts", done)
    assert str(file) in said
    assert len(rollout_files.read(file)) == 8
    for row in pq.read_table(file).to_pylist():
        after = 17 in row["completion_ids"][:-1]
        assert any(math.isnan(value) for value in row["teacher_logprob"]) == after
    shown = understudy(
        "--traceback", "train", "tiny.yaml", "teacher.model=broken", "evaluation.teacher=false", "name=b"
    )
    assert "Traceback" in shown.err
    assert "NonFiniteStepError" in shown.err


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_model_whose_every_answer_is_nan(role: str, place: Workplace, understudy: Understudy) -> None:
    save_model(place.path / "broken", seed=1, broken_word=0)
    overrides = [f"{role}.model=broken"]
    assert_is_refused(understudy("train", "tiny.yaml", *overrides), "broken answers with NaN", "copy or download")
    assert not place.run.exists()


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_model_that_breaks_off_while_it_speaks(role: str, place: Workplace, understudy: Understudy) -> None:
    save_model(place.path / "broken", seed=1, broken_word=17)
    ended = understudy("train", "tiny.yaml", f"{role}.model=broken")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("understudy: the sampler's log-probabilities are not finite")
    assert "Traceback" not in ended.err


def nan_at(step: int) -> Objective:
    """OPD whose advantages turn to NaN in one step."""
    healthy = teacher_log_ratio()

    def signal(table: TokenTable, context: PlanContext) -> Tensor:
        column = healthy(table, context)
        return torch.full_like(column, math.nan) if context.step == step else column

    signal.needs = healthy.needs  # type: ignore[attr-defined]
    return replace(objective_of(OPD()), terms={"policy": policy_gradient(signal=signal)})


def test_nan_on_the_way_keeps_all_finished_steps(place: Workplace, tmp_path: Path, understudy: Understudy) -> None:
    with pytest.raises(NonFiniteError, match=r"step 3: the loss term 'policy' is not finite; got nan"):
        us.train("tiny.yaml", ["steps=5"], objective=nan_at(3))
    assert [line["step"] for line in metrics_of(place.run)] == [0, 1, 2]
    assert checkpoint.steps_of(place.run / "checkpoints")[-1] == 3
    advantages = [
        value
        for row in pq.read_table(place.run / "rollouts" / "step-000003.parquet").to_pylist()
        for value in row["policy/advantage"]
    ]
    assert advantages
    assert all(math.isnan(value) for value in advantages)
    assert "<dd>3 of 5</dd>" in (place.run / "report.html").read_text(), "an error is where curves are needed"

    ended = understudy("train", "tiny.yaml", "steps=5", "--resume")
    assert ended.code == 0, "with the cause gone the run goes on"
    assert understudy("train", "tiny.yaml", "steps=5", "name=healthy").code == 0
    assert metrics_of(place.run) == metrics_of(tmp_path / "runs" / "healthy")
