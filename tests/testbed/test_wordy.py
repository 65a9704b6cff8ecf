"""The tasks in words: true steps, a vocabulary that a top-k can miss, and two manners that one verifier reads."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.tasks import verifier_from
from understudy.testbed.datasets import WORDY_VERIFIER, tasks
from understudy.testbed.wordy import (
    MAX_COMPLETION_TOKENS,
    NUM_ADJECTIVES,
    NUM_NAMES,
    NUM_THINGS,
    VOCAB_SIZE,
    Story,
    adjectives,
    build_tokenizer,
    draw_stories,
    foreign_solution,
    names,
    own_solution,
    things,
)

products = st.builds(
    Story,
    st.just("multiplication"),
    st.integers(10, 999).map(str),
    st.integers(2, 9),
    st.integers(0, NUM_NAMES - 1),
    st.integers(0, NUM_THINGS - 1),
)
VERIFY = verifier_from(WORDY_VERIFIER, None)


@settings(max_examples=50, deadline=None)
@given(products)
def test_every_told_step_is_true(story: Story) -> None:
    steps = re.findall(r"(\d) times (\d) plus (\d) [a-z ]+ (\d+)\.", own_solution(story))
    assert len(steps) == len(story.digits)
    for digit, multiplier, carry, total in steps:
        assert int(digit) * int(multiplier) + int(carry) == int(total)
    for left, right, total in re.findall(r"(\d+) with (\d+): (\d+)\.", foreign_solution(story)):
        assert int(left) + int(right) == int(total)


@settings(max_examples=50, deadline=None)
@given(products)
def test_one_verifier_reads_both_manners(story: Story) -> None:
    assert VERIFY is not None
    for manner in (own_solution, foreign_solution):
        assert VERIFY(manner(story), {"answer": story.answer}).correct
        assert not VERIFY(manner(story), {"answer": story.answer + "0"}).correct
    assert own_solution(story) != foreign_solution(story)


def test_tellings_differ_and_repeat() -> None:
    story = Story("multiplication", "47", 8, 0, 0)
    told = {own_solution(story, telling=number) for number in range(20)}
    assert len(told) > 10
    assert own_solution(story, telling=3) == own_solution(story, telling=3)


def test_words_are_all_different() -> None:
    assert len(set(names())) == NUM_NAMES and len(set(things())) == NUM_THINGS
    assert len(set(adjectives())) == NUM_ADJECTIVES
    assert all(name[0].isupper() for name in names())


@pytest.mark.parametrize("kind", ["multiplication", "sorting"])
def test_splits_share_no_digits(kind: str) -> None:
    train, held_out = (
        {(s.digits, s.multiplier) for s in itertools.islice(draw_stories(kind, split), 800)}  # type: ignore[arg-type]
        for split in ("train", "eval")
    )
    assert train and held_out and not train & held_out


def test_the_vocabulary_is_of_word_pieces_and_every_text_comes_back() -> None:
    tokenizer = build_tokenizer()
    assert len(tokenizer) == VOCAB_SIZE >= 1000
    assert len(tokenizer.tokenize(" times")) == 1
    whole = sum(len(tokenizer.tokenize(f" {word}")) == 1 for word in things())
    assert whole > len(things()) / 2  # most things are one piece
    for kind in ("wordy-multiplication", "wordy-sorting"):
        for task in tasks(f"testbed/{kind}", "eval", limit=100):
            text = str(task.columns["completion"])
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
            assert len(ids) + 1 <= MAX_COMPLETION_TOKENS
