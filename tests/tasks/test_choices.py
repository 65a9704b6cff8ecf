"""Which letter a completion chooses."""

from __future__ import annotations

import time

import pytest

from understudy.errors import DataError
from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks import Verdict, verifier_from
from understudy.tasks.choices import last_letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("**B.**", "B"),
        ("The answer is C.", "C"),
        ("the answer is (c)", "C"),
        ("Answer: D", "D"),
        ("The correct answer is: **B**", "B"),
        (r"so \boxed{B}", "B"),
        (r"so $\boxed{\text{B}}$", "B"),
        (r"\boxed{\textbf{(D)}}", "D"),
        ("First I thought the answer is A. No, the answer is B.", "B"),
        ("(A) is too small and (C) is too large, so (B)", "B"),
        ("A is too small; it must be\n\nD", "D"),
        ("The answer is B because of A and C.", "B"),
        ("option C", "C"),
        ("**Answer**: B. Note that C is wrong, as D is.", "B"),
        ("*Answer* is B; A and D are traps.", "B"),
        ("Answer = B, for A is too small", "B"),
        ("D) 42", "D"),
        ("A bird in the hand", None),
        ("I am sure the answer is a bird", None),
        ("It's a matter of time", None),
        ("Vitamin B's effect", None),
        ("e.g. U.S.A.", None),
        ("The answer is Z", None),
        ("", None),
        ("42", None),
    ],
)
def test_the_letter_that_is_stated_last(text: str, letter: str | None) -> None:
    assert last_letter(text, "ABCD") == letter


@pytest.mark.parametrize(
    "text", ["answer" + " " * 4_000, "the answer is " * 200 + " " * 3_000, "answer (" + "* " * 3_000]
)
def test_blanks_that_never_end_do_not_take_the_cube_of_their_length(text: str) -> None:
    """These took 2 to 7 seconds each, in the process that trains."""
    begun = time.process_time()
    assert last_letter(text, "ABCD") is None
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("gold", "correct"),
    [*((gold, True) for gold in ("B", "b", "(B)", "B.", 1, "1", ["A", "B"])), ("A", False), (0, False)],
)
def test_the_gold_answer_is_a_letter_or_a_number_from_0(gold: object, correct: bool) -> None:
    verify = verifier_from(VerifierConfig(kind="choice", letters="abcd"), None)
    assert verify is not None
    assert verify("The answer is B", {"answer": gold}) == Verdict(float(correct), correct, "B")


def test_an_unreadable_letter_is_unread_not_wrong_and_a_pattern_narrows() -> None:
    verify = verifier_from(VerifierConfig(kind="choice", extract=r"<answer>(.*)</answer>"), None)
    assert verify is not None
    assert verify("The answer is B", {"answer": "B"}) == Verdict(0.0, False, None)
    assert verify("Answer: A <answer>B</answer>", {"answer": "B"}).correct


@pytest.mark.parametrize("gold", ["E", 4, "Paris", -1, True, None])
def test_a_gold_answer_that_is_no_choice_is_an_error(gold: object) -> None:
    verify = verifier_from(VerifierConfig(kind="choice", letters="ABCD"), None)
    assert verify is not None
    with pytest.raises(DataError, match="'answer'"):
        verify("B", {"answer": gold})
