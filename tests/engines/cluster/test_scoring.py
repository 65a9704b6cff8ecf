"""A sharded student scores as every scorer must: one rank in this process, two in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.scorer import MakeScorer
from tests.engines.cluster.on_ranks import on_ranks
from tests.engines.cluster.scoring import ClusterSuite, rank_suite, scorers_of
from understudy.engines.cluster import Group, join
from understudy.engines.cluster.group import leave


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    """The only rank."""
    yield join("cpu", {})
    leave()


class TestOneRank(ClusterSuite):
    @pytest.fixture
    def make_scorer(self, group: Group) -> MakeScorer:
        return scorers_of(group)


@pytest.mark.parametrize("tensor_parallel", [1, 2], ids=["sharded", "divided"])
def test_two_ranks(tensor_parallel: int) -> None:
    on_ranks(rank_suite, 2, tensor_parallel)
