"""Memory that runs out at a chosen moment: torch's own allocator is asked for what no machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from tests.conformance.policy import request_of
from tests.conformance.tiny import likelihood_plan, tiny_batch, tiny_model
from tests.engines.test_local_policy import local_policy
from understudy.engines.local import LocalPolicy, LocalScorer
from understudy.engines.local.out_of_memory import Budget, Extent, is_out_of_memory, smaller
from understudy.errors import MemoryExhaustedError
from understudy.models.adapters import LoraConfig
from understudy.models.forward import backbone
from understudy.models.load import describe

Failure = Callable[[], object]


def of_the_cpu() -> object:
    return torch.empty(1 << 50)


def of_the_gpu() -> object:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@contextmanager
def memory_runs_out(model: nn.Module, at: set[int] | Callable[[int], bool], failure: Failure) -> Iterator[list[int]]:
    """Forward passes through the backbone fail where their number is in ``at``, or ``at`` holds of their tokens."""
    passes: list[int] = []

    def hook(_module: nn.Module, _args: object, kwargs: dict[str, Tensor]) -> None:
        passes.append(kwargs["input_ids"].numel())
        if at(passes[-1]) if callable(at) else len(passes) - 1 in at:
            failure()

    handle = backbone(model).register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield passes
    finally:
        handle.remove()


def weights_of(policy: LocalPolicy) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


@pytest.mark.parametrize("failure", [of_the_cpu, of_the_gpu])
def test_the_allocators_errors_are_known(failure: Failure) -> None:
    with pytest.raises(RuntimeError) as caught:
        failure()
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_budgets_by_hand() -> None:
    """60 tokens in the largest pass, 20 in the longest context: 30, then 20; then the rows, down to 16."""
    budget: Budget | None = Budget(tokens=1000, rows=100)
    seen = []
    while budget is not None:
        seen.append(budget)
        largest = min(60, budget.tokens)
        budget = smaller(budget, Extent(longest=20, largest=largest, rows=50), may_checkpoint=True)
    assert [(one.tokens, one.checkpointing, one.rows) for one in seen] == [
        (1000, False, 100),
        (30, False, 100),
        (20, False, 100),
        (20, True, 100),
        (20, True, 25),
        (20, True, 16),
    ]


@pytest.mark.parametrize("failure", [of_the_cpu, of_the_gpu])
@pytest.mark.parametrize("lora", [None, LoraConfig(rank=4, alpha=8, dropout=0.5)])
@pytest.mark.parametrize("at", [{0}, {2}, {1, 2}])
def test_an_update_is_done_again_with_the_same_result(failure: Failure, lora: LoraConfig | None, at: set[int]) -> None:
    batch = tiny_batch(count=12)
    plan = likelihood_plan(batch)
    told: list[str] = []
    plain = local_policy(tiny_model(dtype=torch.float64), token_budget=32, lora=lora)
    struck = local_policy(tiny_model(dtype=torch.float64), token_budget=32, lora=lora, notice=told.append)
    expected = plain.update(batch, plan)
    with memory_runs_out(struck.model, at, failure) as passes:
        result = struck.update(batch, plan)
    assert result.loss == pytest.approx(expected.loss, rel=1e-6)
    assert result.grad_norm == pytest.approx(expected.grad_norm, rel=1e-6)
    for name, after in weights_of(plain).items():
        torch.testing.assert_close(weights_of(struck)[name], after, atol=1e-7, rtol=1e-6)
    assert len(told) == 1
    assert "32 tokens" in told[0]
    assert "the student's update" in told[0]
    quiet = len(passes)
    with memory_runs_out(struck.model, set(), failure) as passes:
        struck.update(batch, plan)
    assert max(passes) < 32, "the smaller budget stays"
    assert len(passes) <= quiet
    assert len(told) == 1


@pytest.mark.parametrize("failure", [of_the_cpu, of_the_gpu])
@pytest.mark.parametrize("what", ["policy", "scorer"])
def test_scoring_is_done_again_with_the_same_result(failure: Failure, what: str) -> None:
    request = request_of(tiny_batch())
    model, told = tiny_model(), list[str]()
    make = local_policy if what == "policy" else lambda model, **options: LocalScorer(describe(model, None), **options)
    expected = make(tiny_model(), token_budget=64).score(request).sampled
    scorer = make(model, token_budget=64, notice=told.append)
    with memory_runs_out(model, lambda tokens: tokens > 20, failure) as passes:
        scores = scorer.score(request)
    torch.testing.assert_close(scores.sampled, expected, atol=1e-6, rtol=1e-5)
    assert len(told) == 1
    assert "scoring with" in told[0]
    assert 0 < passes[-1] <= 20


def test_no_weight_moves_when_nothing_fits() -> None:
    batch, model = tiny_batch(), tiny_model()
    policy = local_policy(model, token_budget=64, activation_checkpointing="off")
    before = weights_of(policy)
    with memory_runs_out(model, lambda _: True, of_the_cpu), pytest.raises(MemoryExhaustedError) as caught:
        policy.update(batch, likelihood_plan(batch))
    after = weights_of(policy)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in model.parameters())
    assert policy.updates == 0
    for words in ("began with 64 tokens", "one context of", "DefaultCPUAllocator", "max_completion_length"):
        assert words in str(caught.value)
    with memory_runs_out(model, lambda _: True, of_the_gpu), pytest.raises(MemoryExhaustedError, match="scoring"):
        policy.score(request_of(batch))


def test_checkpointing_comes_when_one_context_does_not_fit() -> None:
    batch, model, told = tiny_batch(), tiny_model(), list[str]()
    policy = local_policy(model, token_budget=8, notice=told.append)
    expected = local_policy(tiny_model(), token_budget=8).gradients(batch, likelihood_plan(batch))
    with memory_runs_out(model, {0}, of_the_cpu):
        gradients = policy.gradients(batch, likelihood_plan(batch))
    assert "made again" in told[0]
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-6, rtol=1e-5)


def test_other_errors_are_not_tried_again() -> None:
    model = tiny_model()
    policy = local_policy(model)

    def break_down() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with memory_runs_out(model, {0}, break_down) as passes, pytest.raises(RuntimeError, match="mat1"):
        policy.score(request_of(tiny_batch()))
    assert len(passes) == 1


def test_an_optimiser_without_memory_says_so() -> None:
    batch, model = tiny_batch(), tiny_model()
    policy = local_policy(model)
    before = weights_of(policy)
    policy._optimizer.register_step_pre_hook(lambda *_: of_the_cpu() and None)
    with pytest.raises(MemoryExhaustedError, match=r"optimizer\.states: int8"):
        policy.update(batch, likelihood_plan(batch))
    assert all(torch.equal(before[name], p) for name, p in weights_of(policy).items())
