"""Likeliest tokens of a few rollouts: exactly what the scorers say, kept with them, at a bounded number of steps."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from tests.training.tiny_run import SETTINGS, go, parts_of, record_of
from understudy.protocols import ScoreRequest
from understudy.reports.saved_rollouts import chosen_of, read_step, step_files
from understudy.training.magnifying import Magnifier

LOOKED = SETTINGS.__class__(evaluate_every=0, magnifier=Magnifier(num_rollouts=3, top_k=2))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    go(path, parts_of(2), settings=LOOKED)
    return path


def test_the_teachers_likeliest_tokens_are_what_it_scores(run: Path) -> None:
    step = read_step(step_files(run)[0])
    assert step is not None
    shown = [one for one in step.rollouts if one.is_magnified]
    assert len(shown) == 3
    teacher = parts_of(2).scorers["teacher"]
    for rollout in shown:
        (turn,) = rollout.turns
        ids = torch.tensor([*turn.prompt_ids, *turn.completion_ids])
        position = torch.arange(len(turn.prompt_ids), ids.numel())
        scores = teacher.score(ScoreRequest([ids], torch.zeros_like(position), position, top_k=2))
        assert scores.top_ids is not None and scores.top_logprobs is not None
        assert [list(one) for one in turn.tops["teacher"].ids] == scores.top_ids.tolist()
        found = torch.tensor(turn.tops["teacher"].logprobs)
        torch.testing.assert_close(found, scores.top_logprobs, rtol=0, atol=1e-5)
        own = turn.figures["student_logprob"]
        for ids_here, logprobs, token, logprob in zip(
            turn.tops["student"].ids, turn.tops["student"].logprobs, turn.completion_ids, own, strict=True
        ):
            if token in ids_here:
                assert logprobs[ids_here.index(token)] == pytest.approx(logprob, abs=1e-5)


def test_the_page_shows_the_rollouts_that_were_magnified(run: Path) -> None:
    step = read_step(step_files(run)[1])
    assert step is not None
    assert all(one.is_magnified for one in chosen_of(step.rollouts).rollouts)
    rewards = [one.reward for one in chosen_of(step.rollouts).rollouts]
    known = [one.reward for one in step.rollouts if one.reward is not None]
    assert rewards == sorted(rewards, reverse=True, key=lambda reward: -1 if reward is None else reward)
    assert max(known) in rewards


def test_looking_changes_no_number(run: Path, tmp_path: Path) -> None:
    go(tmp_path / "run", parts_of(2), settings=SETTINGS.__class__(evaluate_every=0))
    assert record_of(run)[0] == record_of(tmp_path / "run")[0]
    assert "teacher_top_ids" not in pq.read_schema(step_files(tmp_path / "run")[0]).names


def test_a_long_run_is_looked_at_about_twenty_times() -> None:
    due = [step for step in range(1000) if Magnifier(1).is_due(step, total_steps=1000)]
    assert due == [*range(0, 1000, 50), 999]
    assert not any(Magnifier(0).is_due(step, total_steps=10) for step in range(10))
