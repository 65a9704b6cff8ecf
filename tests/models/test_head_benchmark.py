"""The three ways that ``benchmarks.head`` times are one loss."""

from __future__ import annotations

import pytest
import torch
from benchmarks import head as benchmark


@pytest.mark.parametrize("loss", benchmark.LOSSES)
def test_every_way_gives_the_same_gradients(loss: str) -> None:
    work = benchmark._work(benchmark.Shape(tokens=7, vocab=128, width=8, chunk_rows=3))
    found = []
    for evaluate in (benchmark._ours, benchmark._naive, benchmark._checkpointed):
        found.append(torch.autograd.grad(evaluate(loss, work), [work.hidden, work.student.weight]))
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, atol=1e-6, rtol=1e-5)
    assert min(float(gradient.abs().max()) for gradient in found[0]) > 1e-4


def test_a_measurement_in_a_process_of_its_own() -> None:
    shape = benchmark.Shape(tokens=64, vocab=256, width=16, chunk_rows=32, rounds=1, clock="cpu")
    found = benchmark.measure_apart("full", "ours", shape)
    assert found.seconds > 0 and found.ratio == pytest.approx(found.seconds / found.products)
