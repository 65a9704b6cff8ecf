from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import DataError, RecipeError
from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks import Verdict, verifier_from
from understudy.tasks.numerals import last_number


def judged(completion: str, gold: object, **options: object) -> Verdict:
    verify = verifier_from(VerifierConfig.model_validate(options), "gold")
    assert verify is not None
    return verify(completion, {"gold": gold})


RIGHT = 1.0, True


@pytest.mark.parametrize(
    ("completion", "gold", "options", "correct", "parsed"),
    [
        (" Paris\n", "Paris", {}, True, "Paris"),
        ("paris", "Paris", {}, False, "paris"),
        ("paris", "Paris", {"ignore_case": True}, True, "paris"),
        (" Paris", "Paris", {"strip": False}, False, " Paris"),
        ("", "Paris", {}, False, None),
        ("42", 42, {}, True, "42"),
        ("b", ["a", "b"], {}, True, "b"),
        ("8*7=56;#56", "56", {"extract": r"#(\S+)"}, True, "56"),
        ("#55 no, #56", "56", {"extract": r"#(\S+)"}, True, "56"),
        ("the answer is 56", "56", {"extract": r"#(\S+)"}, False, None),
        ("#### 42", "worked steps #### 42", {"extract": r"#### (\S+)"}, True, "42"),
        ("x", "y", {"extract": r"x|(y)"}, False, None),
    ],
)
def test_exact_match(completion: str, gold: object, options: dict, correct: bool, parsed: str | None) -> None:
    assert judged(completion, gold, kind="exact", **options) == Verdict(float(correct), correct, parsed)


@pytest.mark.parametrize(
    ("completion", "gold", "options", "correct", "parsed"),
    [
        ("first 7, then 56.", "56", {}, True, "56"),
        ("56.0", 56, {}, True, "56"),
        ("it is 1,234,567", "1234567", {}, True, "1234567"),
        ("0.5", "1/2", {}, True, "1/2"),
        (r"\frac{1}{2}", 0.5, {}, True, "1/2"),
        ("55", "56", {}, False, "55"),
        ("no idea", "56", {}, False, None),
        ("1/0", "56", {}, False, None),
        ("3.14", "3.14159", {}, False, "157/50"),
        ("3.14", "3.14159", {"tolerance": 0.01}, True, "157/50"),
        ("#12 and 13", "12", {"extract": r"#(\S+)"}, True, "12"),
        ("13", "12", {"extract": r"#(\S+)"}, False, None),
        ("so #### 72", "48/2 = 24 #### 72", {"extract": r"#### (.+)"}, True, "72"),
        ("3", [1, "3"], {}, True, "3"),
    ],
)
def test_numeric_match(completion: str, gold: object, options: dict, correct: bool, parsed: str | None) -> None:
    assert judged(completion, gold, kind="numeric", **options) == Verdict(float(correct), correct, parsed)


@pytest.mark.parametrize("kind", ["exact", "numeric"])
@pytest.mark.parametrize("gold", [None, True, "", " ", [], {"a": 1}, [None]])
def test_an_unusable_gold_answer_is_an_error_not_a_wrong_answer(kind: str, gold: object) -> None:
    with pytest.raises(DataError, match="'gold'"):
        judged("1", gold, kind=kind)


def test_a_gold_answer_without_a_number_is_an_error() -> None:
    with pytest.raises(DataError, match="no number"):
        judged("1", "unknown", kind="numeric")


def test_the_column_defaults_to_answer_and_a_missing_one_is_named() -> None:
    verify = verifier_from(VerifierConfig(kind="exact"), None)
    assert verify is not None and verify("a", {"answer": "a"}).correct
    with pytest.raises(DataError, match=r"no column 'answer'.*Did you mean 'answers'"):
        verify("a", {"answers": "a"})


def test_kind_none_judges_nothing() -> None:
    assert verifier_from(VerifierConfig(), None) is None
    with pytest.raises(RecipeError, match="extract"):
        verifier_from(VerifierConfig(extract="(a)"), None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-5", -5),
        ("10-5", 5),
        ("x = -5", -5),
        ("(3)-2", 2),
        ("\u22125", -5),
        ("+5", 5),
        ("-$1,234.50", Fraction("-1234.5")),
        ("50%", 50),
        (".5", Fraction("0.5")),
        ("1e3", 1000),
        ("2.5E-2", Fraction("0.025")),
        ("1,2,3", 3),
        ("8/2=4", 4),
        ("-3/4", Fraction(-3, 4)),
        ("3 1/2", Fraction(7, 2)),
        ("-3 1 / 2 cups", Fraction(-7, 2)),
        ("1,200 3/4", Fraction(4803, 4)),
        ("2 9/4", Fraction(9, 4)),
        ("of 2 and 3", 3),
        (r"$3\frac{1}{2}$", Fraction(7, 2)),
        (r"-3 \dfrac{1}{2}", Fraction(-7, 2)),
        (r"x=\frac{-1}{2}", Fraction(-1, 2)),
        (r"\frac12", Fraction(1, 2)),
        (r"-\tfrac{1}{2}.", Fraction(-1, 2)),
        ("9.", 9),
        ("1e999999999", 999999999),
        ("9" * 5000, None),
        ("", None),
        ("٣", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: object) -> None:
    assert last_number(text) == number


@given(
    st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)
)
def test_a_number_in_any_spelling_is_itself(number: object) -> None:
    expected = Fraction(str(number))
    for spelling in (f"{number}", f"{number:,}", f"so it is {number}.", f"**{number}**"):
        assert last_number(spelling) == expected
    verdict = judged(f"= {number}", str(number), kind="numeric")
    assert verdict == Verdict(1.0, True, str(expected))


@given(text=st.text() | st.text("0123456789,./-+eE$ \\frac{}", max_size=40))
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = last_number(text)
    assert number is None or any(character.isdigit() for character in text)
