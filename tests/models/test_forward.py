from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from tests.conformance.tiny import tiny_batch, tiny_model
from understudy.errors import ShapeError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.architectures import why_not_packed
from understudy.models.forward import MicroBatch, backbone, hidden_rows, micro_batches, plan_forward


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120))
def test_every_context_goes_once_and_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = micro_batches(lengths, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        width = max(lengths[index] for index in group)
        assert len(group) == 1 or width * len(group) <= budget


def test_contexts_of_like_length_go_together() -> None:
    assert micro_batches([5, 50, 6, 49, 4], 100) == [[1, 3], [2, 0, 4]]


@pytest.mark.parametrize("budget", [1, 25, 1000])
def test_hidden_rows_equal_those_of_each_context_alone(budget: int) -> None:
    model, batch = tiny_model(), tiny_batch()
    contexts = [context.ids for context in batch.contexts]
    alone = [model.model(input_ids=ids[None]).last_hidden_state[0] for ids in contexts]
    order = torch.randperm(batch.table.num_tokens)[:20]
    context, position = batch.table["context"][order], batch.table["position"][order]
    seen = torch.zeros(20, dtype=torch.int64)
    for part in plan_forward(contexts, context, position, token_budget=budget):
        hidden = hidden_rows(model, part)
        seen[part.rows] += 1
        assert part.rows.tolist() == sorted(part.rows.tolist())
        for row, state in zip(part.rows.tolist(), hidden, strict=True):
            expected = alone[context[row]][position[row] - 1]
            torch.testing.assert_close(state, expected, atol=1e-5, rtol=1e-5)
    assert seen.tolist() == [1] * 20


def test_only_contexts_with_rows_are_read_and_only_as_far_as_needed() -> None:
    contexts = [torch.arange(10), torch.arange(7), torch.arange(5)]
    (part,) = plan_forward(contexts, torch.tensor([2, 0, 0]), torch.tensor([4, 1, 3]), token_budget=100)
    assert part.ids.tolist() == [[0, 1, 2, 3], [0, 1, 2, 0]]
    assert (part.rows.tolist(), part.flat.tolist(), part.num_tokens) == ([0, 1, 2], [3, 4, 6], 7)


def test_no_rows_need_no_pass() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert plan_forward([torch.arange(3)], none, none, token_budget=10) == []


@pytest.mark.parametrize(("context", "position"), [(0, 0), (0, 3), (1, 1), (-1, 1)])
def test_rows_outside_are_refused(context: int, position: int) -> None:
    with pytest.raises(ShapeError):
        plan_forward([torch.arange(3)], torch.tensor([context]), torch.tensor([position]), token_budget=10)


def test_backbone_of_a_wrapped_model_keeps_its_adapters() -> None:
    model = tiny_model()
    ids = torch.tensor([[3, 4, 5]])
    plain = model.model(input_ids=ids).last_hidden_state.detach()
    wrapped = add_lora(model, LoraConfig(rank=2, alpha=4), seed=0)
    torch.testing.assert_close(backbone(wrapped)(input_ids=ids).last_hidden_state, plain)
    with torch.no_grad():
        for name, p in wrapped.named_parameters():
            if "lora_B" in name:
                p.fill_(0.1)
    assert (backbone(wrapped)(input_ids=ids).last_hidden_state - plain).abs().max() > 1e-2


def found_fit() -> PreTrainedModel:
    model = tiny_model()
    assert why_not_packed(model) is None
    return model


def test_a_packed_row_of_contexts_says_where_each_state_is() -> None:
    sizes = (50, 2, 31, 22)
    contexts = [torch.arange(size) % 19 for size in sizes]
    context, position = torch.tensor([2, 0, 0, 3, 2]), torch.tensor([4, 49, 3, 21, 30])
    (part,) = plan_forward(contexts, context, position, token_budget=1000, model=found_fit())
    assert part.lengths == (49, 30, 21)  # longest first, the second has no row
    assert part.ids.tolist() == [[n % 19 for size in (49, 30, 21) for n in range(size)]]
    assert (part.rows.tolist(), part.num_tokens) == ([0, 1, 2, 3, 4], 100)
    assert part.flat.tolist() == [49 + 3, 48, 2, 79 + 20, 49 + 29]


def test_only_a_model_found_fit_is_given_packed_contexts() -> None:
    contexts = [torch.arange(size) % 19 for size in (50, 31, 22)]
    rows = torch.arange(3), torch.tensor([49, 30, 21])
    for model in (None, tiny_model()):
        assert all(part.lengths is None for part in plan_forward(contexts, *rows, token_budget=1000, model=model))


def test_a_rank_without_work_runs_beside_packed_ones_and_adds_nothing() -> None:
    model = found_fit()
    states = hidden_rows(model, MicroBatch.without_rows())
    assert states.shape == (0, 16)
    states.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.model.layers.parameters())
