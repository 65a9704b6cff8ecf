"""Each failure is told by its own sign, and only by that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from understudy.doctor.advice import advice_for
from understudy.doctor.continuing import continued
from understudy.doctor.failures import drift_finding, imbalance_finding, special_finding
from understudy.doctor.measures import Decile, Measures
from understudy.evaluation.statistics import Estimate
from understudy.protocols import Capabilities
from understudy.rollouts import FinishReason, Rollout

FLAT = Decile(ratio=-0.1, overlap=0.9, teacher_entropy=0.5, repetition=0.0, num_tokens=50)
CALM = Measures(
    num_rollouts=32,
    num_tokens=500,
    length=15.0,
    truncated=0.0,
    reverse_kl=Estimate(0.1, 0.05, 0.15, 32),
    outliers=0.05,
    student_entropy=0.5,
    teacher_entropy=0.5,
    overlap=0.9,
    mass=0.99,
    largest=0.1,
    negative=0.5,
    special=0.02,
    by_decile=[FLAT] * 10,
)
WIDE = Capabilities(top_k=16, at_ids=16)


def graded(*solved: bool) -> list[Rollout]:
    return [
        Rollout(key=n, group=n, problem=str(n), turns=(), finish_reason=FinishReason.STOP, correct=one)
        for n, one in enumerate(solved)
    ]


def test_calm_figures_are_fine() -> None:
    assert {one(CALM).verdict for one in (imbalance_finding, drift_finding, special_finding)} == {"ok"}


@pytest.mark.parametrize("change", [{"largest": 0.6}, {"negative": 0.95}])
def test_an_uneven_signal_is_told_unless_tokens_are_few(change: dict[str, float]) -> None:
    uneven = replace(CALM, **change)
    assert imbalance_finding(uneven).verdict == "warn"
    assert imbalance_finding(replace(uneven, num_tokens=199)).verdict == "ok"


@pytest.mark.parametrize(
    ("late", "said"),
    [
        ({"ratio": -1.2}, "log-ratio falls"),
        ({"overlap": 0.6}, "overlap of both sides' top k falls"),
        ({"teacher_entropy": 1.6}, "entropy rises"),
        ({"repetition": 0.4}, "end in repetition"),
    ],
)
def test_what_gets_worse_along_the_answers_is_told(late: dict[str, float], said: str) -> None:
    drifted = replace(CALM, by_decile=[FLAT] * 7 + [replace(FLAT, **late)] * 3)
    finding = drift_finding(drifted)
    assert finding.verdict == "warn" and said in finding.what
    early = replace(CALM, by_decile=[replace(FLAT, **late)] * 3 + [FLAT] * 7)
    assert drift_finding(early).verdict == "ok"


def test_a_teacher_that_spoils_what_the_student_solves_is_told() -> None:
    before = graded(*[True] * 10, *[False] * 10)
    lost = continued(0.5, before=before, after=graded(*[False] * 7, *[True] * 3, *[True] * 10))
    assert lost.success.mean == pytest.approx(13 / 20) and lost.lost is not None and lost.lost.mean == 0.7
    finding = drift_finding(CALM, [continued(0.0, before=before, after=before), lost])
    assert finding.verdict == "warn" and "fails 70 % of them" in finding.what


def test_a_teacher_that_cannot_rescue_wrong_beginnings_is_no_failure() -> None:
    before = graded(*[True] * 6, *[False] * 20)
    assert drift_finding(CALM, [continued(0.75, before=before, after=before)]).verdict == "ok"


def test_too_few_solved_answers_say_nothing() -> None:
    before = graded(True, True, True, True, False)
    assert continued(0.5, before=before, after=graded(*[False] * 5)).lost is None


def test_each_finding_leads_to_its_method() -> None:
    def advised(measures: Measures, able: Capabilities = WIDE, *, is_self: bool = False) -> str:
        findings = [one(measures) for one in (imbalance_finding, drift_finding, special_finding)]
        return advice_for(measures, findings, capabilities=able, is_self=is_self).method

    assert advised(CALM) == "opd"
    assert advised(CALM, is_self=True) == "opsd"
    assert advised(replace(CALM, overlap=0.2)) == "seq_kd"
    assert advised(replace(CALM, special=0.5)) == "local_support"
    assert advised(replace(CALM, largest=0.9)) == "tropd"
    assert advised(replace(CALM, largest=0.9), Capabilities()) == "reopold"
    assert advised(replace(CALM, by_decile=[FLAT] * 7 + [replace(FLAT, ratio=-3.0)] * 3)) == "tropd"
