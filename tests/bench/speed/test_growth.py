from __future__ import annotations

import pytest

from tests.bench.speed.hand_made_speeds import measured
from understudy.bench.speed.linear import TOKENS, Growth, growth_table, section_of, size_with
from understudy.bench.speed.machine import this_machine
from understudy.bench.speed.workload import SIZES


@pytest.fixture(scope="module")
def growth() -> Growth:
    machine = this_machine(threads=1, clock="wall", peer_python=None)
    found = {1024: [measured(2.0, sample=1.0)], 4096: [measured(4.0, sample=0.0), measured(6.0, sample=2.0)]}
    return Growth("S", "opd-float32", machine, found)


def test_every_step_has_its_tokens_in_sequences_of_one_length():
    for tokens in TOKENS:
        size = size_with(SIZES["SV"], tokens)
        assert size.batch * (size.mean_prompt_length + size.completion_length) == tokens
        assert size.num_stops == 0 and size.student == SIZES["SV"].student


def test_seconds_a_token_are_relative_to_the_middle(growth: Growth):
    assert growth.seconds(4096) == 5.0 and growth.seconds(4096, without=["sample"]) == 4.0
    assert growth.relative(4096) == 1.0
    assert growth.relative(1024) == pytest.approx((2 / 1024) / (5 / 4096))
    assert growth.relative(1024, without=["sample"]) == pytest.approx((1 / 1024) / (4 / 4096))


def test_its_table_and_section(growth: Growth):
    assert growth_table(growth)[1] == ["1,024", "2.000", "1953", "1.60", "1.000", "1.00", "10"]
    section = section_of([growth], command="understudy bench speed --linear")
    assert "seconds a token over those of 4,096 tokens a step" in section
