"""The benchmark of serving, in its smallest size and on a server in this process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import torch
from benchmarks import serving

from tests.serving.served import served_model
from understudy.bench.speed.workload import SIZES, write_workload
from understudy.engines.local import LocalScorer
from understudy.models.load import load_model


@pytest.mark.timeout(120)
def test_both_sides_score_the_same_rows(tmp_path: Path) -> None:
    write_workload(tmp_path, SIZES["mini"])
    work = serving.work_of(6, vocab_size=64, k=3, prompt=4, response=6)
    here = serving.score_here(LocalScorer(load_model(tmp_path / "teacher")), work)
    with served_model(tmp_path / "teacher") as url:
        there = asyncio.run(serving.score_there(url, work, clients=3))
        own = serving.Running(url, os.getpid())
        (one,) = serving.measure(own, LocalScorer(load_model(tmp_path / "teacher")), work, clients=3, rounds=1)
    assert [values.shape for values in here] == [ids.shape for ids in work.ids]
    for values, others, ids, context in zip(here, there, work.ids, work.contexts, strict=True):
        torch.testing.assert_close(values, others, atol=1e-6, rtol=0)
        assert ids[:, 0].tolist() == context[work.start + 1 :].tolist()
    assert work.num_rows == sum(ids.shape[0] for ids in work.ids) > 0
    assert one.difference < 1e-5 and one.ratio > 0
