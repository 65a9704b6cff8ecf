"""The Triton kernels against the PyTorch form: on CUDA where there is one, else in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from understudy.models.kernels import plain
from understudy.models.kernels.plain import FullTerm
from understudy.plans import Divergence

INTERPRETING = os.environ.get("TRITON_INTERPRET") == "1"
HAS_TRITON = importlib.util.find_spec("triton") is not None
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
runs_kernels = pytest.mark.skipif(
    not HAS_TRITON or (DEVICE == "cpu" and not INTERPRETING),
    reason="no Triton" if not HAS_TRITON else "no CUDA; a test below runs these in Triton's interpreter",
)
# 5,000 tokens are one full block of a program and a part of another.
ROWS, VOCAB = 5, 5000
DIVERGENCES = {
    "forward": Divergence("forward"),
    "reverse": Divergence("reverse"),
    "clipped": Divergence("reverse", log_ratio_clip=0.5),
    "jsd": Divergence("jsd", beta=0.3),
    "skew_forward": Divergence("skew_forward"),
    "skew_reverse": Divergence("skew_reverse", alpha=0.2),
    "product": Divergence("forward", student_power=0.6),
    "floored": Divergence("reverse", target_floor=-6.0),
}


@pytest.mark.skipif(not HAS_TRITON, reason="no Triton")
@pytest.mark.skipif(INTERPRETING or DEVICE == "cuda", reason="the kernels run in this very process")
def test_the_kernels_in_the_interpreter() -> None:
    """In a process of its own: Triton reads the variable when it is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "13 passed" in done.stdout, done.stdout[-1000:]


def some_logits(seed: int, *, rows: int = ROWS, size: int = VOCAB) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=generator).mul(3).add(20).to(DEVICE)


@runs_kernels
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_statistics(temperature: float) -> None:
    from understudy.models.kernels import triton_rows

    logits = some_logits(0, size=VOCAB + 3)[:, :VOCAB]  # a cut of a wider buffer: rows are not next to each other
    logits[1, 4:] = -math.inf
    logits[2] = -1e29
    logits[2, 7] = 1e4
    found = triton_rows.row_statistics(logits, temperature=temperature, entropy=True)
    expected = plain.row_statistics(logits.double(), temperature=temperature, entropy=True)
    torch.testing.assert_close(found.top.double(), expected.top, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.mass.double(), expected.mass, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.entropy.double(), expected.entropy, rtol=1e-5, atol=1e-6)
    without = triton_rows.row_statistics(logits.bfloat16(), temperature=temperature)
    rounded = plain.row_statistics(logits.bfloat16().double(), temperature=temperature)
    torch.testing.assert_close(without.mass.double(), rounded.mass, rtol=1e-6, atol=0)
    assert without.spread is None


@runs_kernels
def test_softmax_gradient() -> None:
    from understudy.models.kernels import triton_rows

    logits, factor = some_logits(0), torch.tensor([0.5, -2.0, 0.0, 1.0, 1e-3], device=DEVICE)
    logits[3, ::2] = -math.inf
    expected = factor.double()[:, None] * (logits.double() / 0.7).softmax(1)
    statistics = triton_rows.row_statistics(logits, temperature=0.7)
    found = triton_rows.softmax_gradient_(logits, statistics, factor)
    assert found.data_ptr() == logits.data_ptr()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-12)


@runs_kernels
@pytest.mark.parametrize("name", DIVERGENCES)
def test_full_gradient(name: str) -> None:
    from understudy.models.kernels import triton_full, triton_rows

    logits, target = some_logits(0), some_logits(1, rows=3, size=VOCAB + 2)
    target[0, 100:2000] = -math.inf
    logits[4] = target[2, :VOCAB]
    index, weights = torch.tensor([0, 1, 4], device=DEVICE), torch.tensor([0.5, -1.0, 2.0], device=DEVICE)
    factor = torch.tensor([0.1, 0.0, 0.3, -0.2, 0.0], device=DEVICE)

    def run(form: object, student: Tensor, teacher: Tensor) -> Tensor:
        teacher = teacher[:, :VOCAB]
        statistics = form.row_statistics(student, temperature=0.7)  # type: ignore[attr-defined]
        told = form.row_statistics(teacher, temperature=0.7)  # type: ignore[attr-defined]
        term = FullTerm(DIVERGENCES[name], index, weights.to(student.dtype), teacher, told)
        if form is plain:
            return plain.full_gradient_(student, statistics, [term], factor.to(student.dtype), needed=True)[0]
        return triton_full.full_gradient_(student, statistics, term, factor, needed=True)

    gradient, expected = logits.clone(), logits.double()
    values, true_values = run(triton_rows, gradient, target), run(plain, expected, target.double())
    torch.testing.assert_close(values.double(), true_values, rtol=1e-5, atol=2e-6)
    scale = expected.abs().amax(1, keepdim=True).clamp_min(0.1)  # the last row is the target: all noise
    assert float(((gradient.double() - expected).abs() / scale).max()) < 1e-5
    assert float(expected[:4].abs().amax(1).min()) > 1e-4


@runs_kernels
def test_values_alone_leave_the_logits() -> None:
    from understudy.models.kernels import triton_full, triton_rows

    logits, target = some_logits(0), some_logits(1)
    before, index = logits.clone(), torch.arange(ROWS, device=DEVICE)
    statistics, told = (triton_rows.row_statistics(side, temperature=1.0) for side in (logits, target))
    term = FullTerm(Divergence("reverse"), index, torch.ones(ROWS, device=DEVICE), target, told)
    values = triton_full.full_gradient_(logits, statistics, term, torch.zeros(ROWS, device=DEVICE), needed=False)
    live, other = (side.double().log_softmax(1) for side in (logits, target))
    torch.testing.assert_close(values.double(), (live.exp() * (live - other)).sum(1), rtol=1e-5, atol=0)
    assert torch.equal(logits, before)


@runs_kernels
def test_no_row_is_no_work() -> None:
    from understudy.models.kernels import triton_rows

    logits = some_logits(0)[:0]
    statistics = triton_rows.row_statistics(logits, temperature=1.0)
    assert triton_rows.softmax_gradient_(logits, statistics, logits.sum(1)).numel() == 0 == statistics.top.numel()
