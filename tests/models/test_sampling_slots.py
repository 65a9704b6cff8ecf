"""Who is decoded with whom: rows that leave, rows that join, prompts read once, and the columns they take."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.families import VOCAB, tiny
from understudy.models.sampling_decode import Seating, decode, seating
from understudy.models.sampling_prefill import next_logits
from understudy.models.sampling_slots import Slots
from understudy.models.sampling_work import Work
from understudy.protocols import Sample, SampleRequest, SamplingParams

MODELS = {name: tiny(name, dtype=torch.float32) for name in ("qwen3", "mistral", "falcon_h1")}
CPU = torch.device("cpu")


def work_of(prompts: list[list[int]], limits: list[int]) -> Work:
    pairs = zip(prompts, limits, strict=True)
    requests = [SampleRequest(torch.tensor(ids), key, max_new_tokens=n) for key, (ids, n) in enumerate(pairs)]
    return Work(requests, SamplingParams(40), seed=5, step=2, max_length=64)


def drawn(family: str, work: Work, how: Seating) -> dict[int, Sample]:
    made: dict[int, Sample] = {}
    model = MODELS[family]
    with torch.no_grad():
        decode(
            model, work, work.order(), forward=partial(next_logits, model), how=how, vocab_size=VOCAB,
            device=CPU, version=0, told=made.update,
        )  # fmt: skip
    return made


prompt = st.sampled_from([[3], [4, 5, 6], [7, 8, 9], list(range(3, 20)), list(range(20, 32))])


@pytest.mark.parametrize("family", MODELS)
@settings(max_examples=12, deadline=None)
@given(
    drawing=st.lists(st.tuples(prompt, st.integers(1, 25)), min_size=1, max_size=12),
    rows=st.integers(1, 5),
    refill=st.booleans(),
)
def test_a_completion_does_not_depend_on_who_sits_beside_it(
    family: str, drawing: list[tuple[list[int], int]], rows: int, refill: bool
) -> None:
    work = work_of([one[0] for one in drawing], [one[1] for one in drawing])
    alone, together = drawn(family, work, Seating(1, refill=False)), drawn(family, work, Seating(rows, refill))
    assert sorted(together) == list(range(len(drawing)))
    for place, sample in together.items():
        assert sample.completion_ids.tolist() == alone[place].completion_ids.tolist()
        torch.testing.assert_close(sample.logprobs, alone[place].logprobs, atol=1e-5, rtol=0)


def watched(family: str, work: Work, how: Seating, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[int]]:
    """Shapes of what the model read, and the columns that the batch had room for after each join."""
    read: list[tuple[int, ...]] = []
    columns: list[int] = []
    join = Slots._join

    def joined(self: Slots, *args: Any) -> None:
        join(self, *args)
        columns.append(self.cache.layers[0].keys.shape[2])

    monkeypatch.setattr(Slots, "_join", joined)
    embedding = MODELS[family].get_input_embeddings()
    handle = embedding.register_forward_hook(lambda _, args, __: read.append(tuple(args[0].shape)))
    drawn(family, work, how)
    handle.remove()
    return read, columns


def test_refilled_slots_stay_full_while_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token row in a hundred ends late: in waves four rows of five would wait for it."""
    work = work_of([[3, 4 + n] for n in range(16)], [40, 2, 2, 2] * 4)
    waves, _ = watched("qwen3", work, Seating(4, refill=False), monkeypatch)
    full, _ = watched("qwen3", work, Seating(4, refill=True), monkeypatch)
    steps = [sum(1 for _, width in read if width == 1) for read in (waves, full)]
    assert steps[0] == 4 * 39
    assert steps[1] < steps[0] / 2


def test_a_group_is_read_once_though_its_rows_come_in_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    work = work_of([[3, 4, 5]] * 10 + [[6, 7, 8]] * 6, [3, 7, 4, 9] * 4)
    read, _ = watched("qwen3", work, Seating(4, refill=True), monkeypatch)
    prompts = [shape for shape in read if shape[1] > 1]
    assert sum(rows for rows, _ in prompts) == 2, "each of the two distinct prompts, once"


def test_columns_never_pass_the_longest_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long prompt ends early beside short ones that go on: their columns are moved, not added."""
    work = work_of([[3 + n % 30 for n in range(25)], [3], [4], [5, 6]] * 3, [3, 24, 20, 9] * 3)
    _, columns = watched("qwen3", work, Seating(3, refill=True), monkeypatch)
    assert max(columns) <= work.longest == 28


def test_equal_prompts_stand_next_to_each_other() -> None:
    work = work_of([[3, 4], [5, 6], [3, 4], [7], [5, 6]], [1] * 5)
    assert work.order() == [3, 0, 2, 1, 4]


def test_slots_are_refilled_where_requests_wait_and_ends_differ() -> None:
    assert not work_of([[3], [4, 5]], [4, 4]).ends_vary
    assert work_of([[3], [4, 5]], [4, 5]).ends_vary
    stops = SamplingParams(4, stop_ids=frozenset({1}))
    assert Work([SampleRequest(torch.tensor([3]), 0)], stops, seed=0, step=0, max_length=64).ends_vary
    assert seating(9, 8, ends_vary=True).refill
    assert not seating(8, 8, ends_vary=True).refill
    assert not seating(9, 8, ends_vary=False).refill
    assert [Seating(16, refill=True).room(alive) for alive in (16, 15, 14, 0)] == [0, 0, 2, 16]
    assert [Seating(16, refill=False).room(alive) for alive in (16, 1, 0)] == [0, 0, 16]


def test_limits_by_hand() -> None:
    work = work_of([[3], list(range(3, 63))], [50, 9])
    assert work.limits == [40, 4], "the parameters' 40, and the 4 that a context of 64 leaves"
    assert (work.num_steps, work.longest) == (40, 64)
