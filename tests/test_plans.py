from __future__ import annotations

import copy

import pytest
import torch

from understudy.errors import ShapeError
from understudy.plans import Divergence, Full, Ids, Likelihood, LossPlan, LossTerm, Ratio


def make_term(**changes: object) -> LossTerm:
    parts = {
        "name": "policy",
        "rows": torch.tensor([0, 2, 5]),
        "weights": torch.tensor([0.5, 0.25, 0.25]),
        "row_loss": Likelihood(advantage=torch.ones(3, 1)),
        "support": Ids(torch.tensor([[4], [4], [1]])),
    }
    return LossTerm(**{**parts, **changes})


def test_terms_may_overlap_on_rows_and_differ_in_support():
    policy = make_term()
    outliers = make_term(
        name="outliers",
        row_loss=Divergence("forward", target=torch.zeros(3, 2)),
        support=Ids(torch.zeros(3, 2, dtype=torch.int64)),
    )
    whole = make_term(name="whole", row_loss=Divergence("jsd"), support=Full("teacher"))
    plan = LossPlan([policy, outliers, whole])
    assert [term.name for term in plan.terms] == ["policy", "outliers", "whole"]
    assert plan.temperature == 1.0
    assert dict(plan.statistics) == {}


def test_a_term_without_rows_is_a_plan_like_any_other():
    none = torch.zeros(0, dtype=torch.int64)
    term = make_term(rows=none, weights=torch.zeros(0), support=Ids(none.reshape(0, 4)))
    assert term.rows.numel() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": torch.ones(2)},
        {"weights": torch.ones(3, 1)},
        {"support": Ids(torch.tensor([4, 4, 1]))},
        {"support": Ids(torch.zeros(2, 1, dtype=torch.int64))},
    ],
    ids=["fewer weights", "a column of weights", "ids without K", "fewer ids"],
)
def test_a_term_whose_parts_differ_in_size_is_refused_by_name(changes: dict[str, object]):
    with pytest.raises(ShapeError, match="'policy'"):
        make_term(**changes)


def test_the_plain_ratio_bounds_nothing():
    """Defaults leave rho as it is; every bound that a method uses stands in its own file."""
    assert (Ratio().kind, Ratio().low, Ratio().high, Ratio().dual) == ("one", 0.0, float("inf"), float("inf"))
    assert Likelihood(torch.ones(1, 1)).old_logprob is None


def test_a_plan_over_ids_is_data_that_can_be_copied():
    plan = LossPlan([make_term()], temperature=0.7, statistics={"gate/share": 0.5})
    twin = copy.deepcopy(plan)
    assert torch.equal(twin.terms[0].weights, plan.terms[0].weights)
    assert (twin.temperature, twin.statistics) == (0.7, {"gate/share": 0.5})
