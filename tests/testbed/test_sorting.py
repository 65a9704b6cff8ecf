"""Sorting: its answers, its split, and that multiplication's models can read it."""

from __future__ import annotations

import itertools
from collections import Counter

from understudy.recipe import Source
from understudy.tasks import gold_completion, verifier_from
from understudy.testbed.datasets import SORTING_VERIFIER, tasks
from understudy.testbed.sorting import MAX_COMPLETION_TOKENS, Digits, draw_digits, sorted_solution
from understudy.testbed.tokenizer import build_tokenizer


def test_by_hand() -> None:
    problem = Digits("40272")
    assert problem.prompt == "40272>:" and sorted_solution(problem) == "#02247"


def test_splits_share_no_problem_and_are_repeatable() -> None:
    train = list(itertools.islice(draw_digits("train", seed=1), 3000))
    held_out = list(itertools.islice(draw_digits("eval"), 1000))
    assert not set(train) & set(held_out)
    assert all(problem.held_out for problem in held_out)
    assert train[:50] == list(itertools.islice(draw_digits("train", seed=1), 50))
    assert train[:50] != list(itertools.islice(draw_digits("train", seed=2), 50))


def test_all_lengths_are_alike_and_leading_zeros_occur() -> None:
    drawn = list(itertools.islice(draw_digits("train"), 4000))
    lengths = Counter(len(problem.digits) for problem in drawn)
    assert set(lengths) == {4, 5, 6, 7} and min(lengths.values()) > 900
    assert any(problem.digits.startswith("0") for problem in drawn)


def test_the_verifier_counts_zeros() -> None:
    verify = verifier_from(SORTING_VERIFIER, None)
    assert verify is not None
    columns = {"answer": "0012"}
    assert verify("#0012", columns).correct
    assert not verify("#012", columns).correct and not verify("#2100", columns).correct
    assert verify("0012", columns).parsed is None


def test_its_text_is_in_the_tokenizer_and_its_longest_answer_fits() -> None:
    tokenizer = build_tokenizer()
    for task in tasks("testbed/sorting", limit=200):
        gold = gold_completion(Source(dataset="testbed/sorting"), task)
        ids = tokenizer(str(task.prompt) + gold)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert len(gold) + 1 <= MAX_COMPLETION_TOKENS
