"""The regression group stands for its suites, each once, and tells which of them are not there."""

from __future__ import annotations

from understudy.evaluation.benchmarks import benchmarks
from understudy.evaluation.groups import GROUPS, expanded


def test_the_regression_group_expands_in_place() -> None:
    found = expanded(["math500", "regression", "aime25", "mine.yaml"], known=GROUPS["regression"])
    assert found.names == ("math500", *GROUPS["regression"], "mine.yaml")
    assert found.absent == ()


def test_what_cannot_be_asked_is_told_and_an_unknown_name_is_left_to_the_catalogue() -> None:
    found = expanded(["regression", "no-such-suite"], known=["mmlu_pro"])
    assert found.names == ("mmlu_pro", "no-such-suite")
    assert set(found.absent) == {*GROUPS["regression"]} - {"mmlu_pro"}


def test_aime_is_answered_32_times_and_the_others_once() -> None:
    named = benchmarks()
    samples = {name: named[name].suite.num_samples for name in GROUPS["regression"] if name in named}
    assert samples["aime25"] == 32
    assert set(samples) >= {"gpqa_diamond", "mmlu_pro", "aime25"}
    assert samples["mmlu_pro"] == 1
