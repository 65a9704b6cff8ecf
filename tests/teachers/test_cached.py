"""Scores that are computed once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import tiny_batch, tiny_model
from tests.teachers.members import Telling, local, rows
from understudy.protocols import Scorer, ScoreRequest, Scores
from understudy.teachers import CachedScorer
from understudy.teachers.cached import row_keys


class TestCachedScorer(ScorerSuite):
    """A cache that is empty at first, and (variants) one that holds half of the rows or forgets at once."""

    variants = ({"token_budget": 40}, {"max_bytes": 0}, {"half_known": True})

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        def make(
            model: PreTrainedModel,
            *,
            vocab_size: int,
            max_bytes: int = 1 << 20,
            half_known: bool = False,
            **options: object,
        ) -> Scorer:
            cached = CachedScorer(local(model, vocab_size=vocab_size, **options), max_bytes=max_bytes)
            if half_known:
                request = replace(self.request_of(cached), hidden=False)
                cached.score(request.rows(torch.arange(0, request.context.numel(), 2)))
            return cached

        return make

    def request_of(self, scorer: Scorer, **changes: object) -> ScoreRequest:
        """Without hidden states, which no cache keeps."""
        return super().request_of(scorer, **{"hidden": False, **changes})


FIELDS = ("sampled", "at_ids", "top_ids", "top_logprobs", "entropy")


def everything(**changes: object) -> ScoreRequest:
    batch = tiny_batch()
    count = batch.table.num_tokens
    ids = torch.arange(count)[:, None] % 19 + torch.zeros(1, 2, dtype=torch.int64)
    contexts = [context.ids for context in batch.contexts]
    columns = batch.table["context"], batch.table["position"]
    return replace(ScoreRequest(contexts, *columns, ids=ids, top_k=3, entropy=True), **changes)


def cached(max_bytes: int = 1 << 20, *, seed: int = 0) -> tuple[CachedScorer, Telling]:
    inner = Telling(local(tiny_model(seed=seed), vocab_size=19))
    return CachedScorer(inner, max_bytes=max_bytes), inner


def assert_equal(one: Scores, other: Scores) -> None:
    for name in FIELDS:
        assert getattr(one, name).equal(getattr(other, name)), name
    assert (one.fingerprint, one.version) == (other.fingerprint, other.version)


def test_the_same_rows_never_reach_the_inner_scorer_again() -> None:
    scorer, inner = cached()
    first = scorer.score(everything())
    again = scorer.score(everything())
    assert len(inner.asked) == 1
    assert_equal(first, again)
    assert_equal(first, inner.inner.score(everything()))


def test_only_rows_that_are_not_known_are_asked_for() -> None:
    scorer, inner = cached()
    request = everything()
    known = torch.tensor([0, 3, 4, 9])
    scorer.score(request.rows(known))
    whole = scorer.score(request)
    new = [row for row in range(request.context.numel()) if row not in known.tolist()]
    assert inner.asked[1].context.equal(request.context[new]) and inner.asked[1].position.equal(request.position[new])
    truth = inner.inner.score(request)
    for name in FIELDS:
        torch.testing.assert_close(getattr(whole, name), getattr(truth, name), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.5}, {"top_k": 2}, {"entropy": False}, {"ids": None}, {"routes": ("x",) * 5}],
    ids=lambda change: next(iter(change)),
)
def test_another_question_about_the_same_rows_is_asked(change: dict[str, object]) -> None:
    scorer, inner = cached()
    assert len(everything().contexts) == 5
    scorer.score(everything())
    other = scorer.score(everything(**change))
    assert inner.num_rows == 2 * everything().context.numel()
    truth = inner.inner.score(everything(**change))
    assert other.sampled.equal(truth.sampled)
    assert (other.at_ids is None) == (truth.at_ids is None)


def test_other_ids_at_one_row_are_another_row() -> None:
    scorer, inner = cached()
    request = everything()
    ids = request.ids
    assert ids is not None
    other = ids.clone()
    other[2, 0] = (other[2, 0] + 1) % 19
    scorer.score(request)
    scorer.score(replace(request, ids=other))
    assert inner.asked[1].context.numel() == 1


def test_a_row_is_known_by_what_stands_before_it_and_its_own_token() -> None:
    beginning, context = torch.tensor([2, 3, 4, 5]), rows((0, 1), (0, 2), (0, 3))
    request = ScoreRequest([beginning], *context)
    longer = ScoreRequest([torch.tensor([2, 3, 4, 5, 6])], *rows((0, 3), (0, 1), (0, 2)))
    keys = list(row_keys(request))
    assert list(row_keys(longer)) == [keys[2], keys[0], keys[1]]
    other_token = ScoreRequest([torch.tensor([2, 3, 4, 7])], *context)
    assert [a == b for a, b in zip(row_keys(other_token), keys, strict=True)] == [True, True, False]
    other_start = ScoreRequest([torch.tensor([9, 3, 4, 5])], *context)
    assert not set(row_keys(other_start)) & set(keys)


def test_new_weights_forget_everything() -> None:
    scorer, inner = cached()
    scorer.score(everything())
    inner.inner = local(tiny_model(seed=1), vocab_size=19)
    assert_equal(scorer.score(everything()), inner.inner.score(everything()))
    assert len(inner.asked) == 2
    scorer.score(everything())
    assert len(inner.asked) == 2


def test_a_new_version_behind_one_fingerprint_forgets_everything() -> None:
    """A scorer that tells its version only with its answers: rows of the old one are not mixed with the new ones."""
    scorer, inner = cached()
    request = everything()
    inner.version = 1
    scorer.score(request.rows(torch.arange(4)))
    inner.version = 2
    mixed = scorer.score(request)
    assert mixed.version == 2
    assert inner.asked[-1].context.equal(request.context), "the four old rows are asked for again"
    count = len(inner.asked)
    assert scorer.score(request).version == 2 and len(inner.asked) == count


def test_memory_is_bounded_and_the_least_recently_used_rows_go() -> None:
    request = everything()
    count = request.context.numel()
    per_row = 4 * (1 + 1 + 2 + 3) + 8 * 3 + 240
    scorer, inner = cached(max_bytes=6 * per_row)
    part = [torch.arange(4), torch.arange(4, 8)]
    scorer.score(request.rows(part[0]))
    assert scorer.num_bytes == 4 * per_row
    scorer.score(request.rows(part[0][:2]))  # used again: rows 2 and 3 are the oldest
    scorer.score(request.rows(part[1]))
    assert scorer.num_bytes == 6 * per_row
    before = inner.num_rows
    scorer.score(request.rows(torch.tensor([0, 1, 4, 5, 6, 7])))
    assert inner.num_rows == before
    scorer.score(request.rows(torch.tensor([2, 3])))
    assert inner.num_rows == before + 2
    whole = scorer.score(request)
    assert whole.sampled.numel() == count and scorer.num_bytes <= 6 * per_row
    torch.testing.assert_close(whole.sampled, inner.inner.score(request).sampled, atol=1e-6, rtol=1e-6)


def test_hidden_states_pass_through() -> None:
    scorer, inner = cached()
    for _ in range(2):
        scores = scorer.score(everything(hidden=True))
        assert scores.hidden is not None and scores.project is not None
    assert len(inner.asked) == 2 and scorer.num_bytes == 0
