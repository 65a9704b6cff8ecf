"""Kind ``regex``: what a pattern finds is the gold answer, which is taken whole."""

from __future__ import annotations

import pytest

from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks import Verdict, verifier_from


@pytest.mark.parametrize(
    ("completion", "gold", "options", "correct", "parsed"),
    [
        ("A: 5", "5", {}, True, "5"),
        ("A: 5 A: 6", "6", {}, True, "6"),
        ("A: 5 A: 6", "5", {}, False, "6"),
        ("B: 5", "5", {}, False, None),
        ("A: 5", "A: 5", {}, False, "5"),
        ("A: yes", "YES", {"ignore_case": True}, True, "yes"),
        ("A: 5", [4, 5], {}, True, "5"),
    ],
)
def test_the_last_match_against_the_gold_answer(
    completion: str, gold: object, options: dict, correct: bool, parsed: str | None
) -> None:
    config = VerifierConfig.model_validate({"kind": "regex", "extract": r"A: (\w+)", **options})
    verify = verifier_from(config, "gold")
    assert verify is not None
    assert verify(completion, {"gold": gold}) == Verdict(float(correct), correct, parsed)
