from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.conformance.tiny import likelihood_plan, tiny_batch, tiny_model
from tests.engines.test_local_policy import local_policy
from understudy.engines.local import LocalPolicy
from understudy.engines.local.optimizer import OptimizerConfig, adamw
from understudy.engines.local.optimizer_states import SMALLEST, Form, States, state_forms, to_bfloat16
from understudy.errors import CheckpointError

COMPACT: tuple[States, ...] = ("bfloat16", "int8")
BYTES = {"float32": 8.0, "bfloat16": 4.0, "int8": 2.0 + 8 / 256}


def moved(states: States, grads: list[Tensor], *, decay: float = 0.1, beta2: float = 0.95) -> Tensor:
    """A parameter after AdamW has seen these gradients."""
    p = nn.Parameter(torch.ones_like(grads[0]))
    settings = OptimizerConfig(learning_rate=0.01, weight_decay=decay, states=states, betas=(0.9, beta2))
    optimizer = adamw([p], settings)
    for grad in grads:
        p.grad = grad.clone()
        optimizer.step()
    return p.detach()


@pytest.mark.parametrize("states", COMPACT)
def test_the_first_step_is_adamws_to_the_bit_of_rounding(states: States) -> None:
    """Averages are rounded after they are used, so the first update knows nothing of it; 5000 is no whole block."""
    grad = torch.randn(50, 100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved(states, [grad]), moved("float32", [grad]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("states", COMPACT)
def test_small_parameters_are_those_of_adamw(states: States) -> None:
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(30, 30, generator=generator) for _ in range(20)]
    torch.testing.assert_close(moved(states, grads), moved("float32", grads), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("states", COMPACT)
@pytest.mark.parametrize("beta2", [0.95, 0.999])
def test_paths_stay_close(states: States, beta2: float) -> None:
    """After 300 noisy steps: apart by a small part of the way that each has gone."""
    generator = torch.Generator().manual_seed(0)
    scale = 10.0 ** torch.linspace(-3, 0, 8192).view(64, 128)
    grads = [scale * (torch.randn(64, 128, generator=generator) + 0.3) for _ in range(300)]
    exact = moved("float32", grads, beta2=beta2)
    apart = (moved(states, grads, beta2=beta2) - exact).abs().mean() / (exact - 1).abs().mean()
    assert 0 < float(apart) < {"bfloat16": 0.02, "int8": 0.05}[states]


def test_a_row_that_is_seldom_used_does_not_leap() -> None:
    """A gradient far below its block's: its second average rounds to the smallest step, never to a zero divisor."""
    grads = []
    for step in range(40):
        grad = torch.zeros(64, 64)
        grad[0] = 1.0
        grad[3] = 1e-7 if step == 0 else 0.0
        grads.append(grad)
    exact, compact = moved("float32", grads, decay=0.0), moved("int8", grads, decay=0.0)
    assert float((compact[3] - 1).abs().max()) <= float((exact[3] - 1).abs().max()) * 1.1


def test_bfloat16_rounds_to_a_neighbour_and_right_on_average() -> None:
    values = torch.tensor([1.0, 1.001, -3.0003, 1e-30, 0.0])
    generator = torch.Generator().manual_seed(0)
    rounded = torch.stack([to_bfloat16(values, generator).double() for _ in range(20000)])
    assert [rounded[:, i].unique().numel() for i in range(5)] == [1, 2, 2, 2, 1]
    torch.testing.assert_close(rounded.mean(0), values.double(), atol=0, rtol=2e-4)


@pytest.mark.parametrize("states", ["float32", *COMPACT])
def test_memory_is_what_the_plan_counts_on(states: States) -> None:
    p = nn.Parameter(torch.zeros(256, 1024))
    optimizer = adamw([p], OptimizerConfig(states=states))
    p.grad = torch.ones_like(p)
    optimizer.step()
    kept = {key: value for key, value in optimizer.state[p].items() if key != "step"}
    assert sum(value.numel() * value.element_size() for value in kept.values()) == BYTES[states] * p.numel()
    kept = {key: Form(tuple(value.shape), value.dtype) for key, value in optimizer.state[p].items()}
    assert kept == state_forms(p, states)


def teaching(states: States) -> tuple[LocalPolicy, list[float]]:
    """A student large enough that its matrices are compact, taught the same batch thirty times."""
    model = tiny_model(vocab_size=19, layers=2)
    model.resize_token_embeddings(600)
    policy = local_policy(model, learning_rate=3e-3, states=states, seed=4)
    assert any(p.numel() >= SMALLEST for p in model.parameters())
    batch = tiny_batch()
    return policy, [policy.update(batch, likelihood_plan(batch)).loss for _ in range(30)]


@pytest.mark.parametrize("states", COMPACT)
def test_it_learns_as_float32_does(states: States) -> None:
    exact, compact = teaching("float32")[1], teaching(states)[1]
    assert exact[-1] < 0.7 * exact[0]
    assert max(abs(a - b) for a, b in zip(exact, compact, strict=True)) < 0.02 * (exact[0] - exact[-1])
    assert exact != compact


@pytest.mark.parametrize("states", COMPACT)
def test_a_resumed_run_repeats_bit_for_bit(tmp_path: Path, states: States) -> None:
    policy, _ = teaching(states)
    policy.save(tmp_path)
    resumed, _ = teaching(states)
    resumed.load(tmp_path)
    batch = tiny_batch(seed=1)
    results = [[one.update(batch, likelihood_plan(batch)) for _ in range(3)] for one in (policy, resumed)]
    assert results[0] == results[1]
    for (name, p), (_, q) in zip(policy.model.named_parameters(), resumed.model.named_parameters(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize(("saved", "wanted"), [("int8", "float32"), ("float32", "bfloat16"), ("bfloat16", "int8")])
def test_other_states_than_the_checkpoints_are_refused(tmp_path: Path, saved: States, wanted: States) -> None:
    teaching(saved)[0].save(tmp_path)
    policy, _ = teaching(wanted)
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    with pytest.raises(CheckpointError, match=r"optimizer\.states"):
        policy.load(tmp_path)
    assert all(torch.equal(before[name], p) for name, p in policy.model.named_parameters())


def test_a_run_that_has_not_moved_yet_resumes(tmp_path: Path) -> None:
    """An update whose every weight is zero counts, and leaves no averages behind."""
    policy, batch = local_policy(tiny_model()), tiny_batch()
    term = likelihood_plan(batch).terms[0]
    policy.update(
        batch, type(likelihood_plan(batch))([type(term)("t", term.rows, term.weights * 0, term.row_loss, term.support)])
    )
    policy.save(tmp_path)
    resumed = local_policy(tiny_model(seed=5))
    resumed.load(tmp_path)
    assert resumed.updates == 1
