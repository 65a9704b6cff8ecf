"""For every method, a step on the service is a step of the local engine, or the method is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.engines.tinker.pair import (
    Pair,
    dense_rows,
    largest_difference,
    local_policy,
    policy_on,
    random_adapters,
    tiny,
)
from tests.engines.tinker.pair import session as tinker_session
from tests.objectives.oracle import fill, graded
from tests.objectives.probes import rollouts_of
from understudy.engines.tinker.methods import (
    MethodOnTinker,
    full_vocabulary_methods,
    method_on_tinker,
    methods_on_tinker,
)
from understudy.errors import CapabilityError
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import METHODS, objective_of
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import Batch, batch_of

WHOLE_VOCABULARY = ["distillm", "gkd", "minillm", "opsd", "pw_opsd", "tip"]
NOT_OF_THE_STUDENT = {"entropy_opd": "exact entropies", "vopd": "hidden states"}
"""What such a method needs of the student and the service does not give; given that, its step can be done there."""
NATIVE = {
    "atod": "ppo",
    "grpo": "ppo",
    "iw_opd": "importance_sampling",
    "lightning": "cross_entropy",
    "opd": "importance_sampling",
    "power_opd": "importance_sampling",
    "prefix_teach": "importance_sampling",
    "reopold": "importance_sampling",
    "rlsd": "ppo",
    "seq_kd": "cross_entropy",
    "sft": "cross_entropy",
    "sod": "ppo",
    "tcod": "importance_sampling",
    "veto": "importance_sampling",
}
NATIVE_STEP = {**NATIVE, "entropy_opd": "importance_sampling", "vopd": "importance_sampling"}
SETTINGS = {"learning_rate": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8, "max_grad_norm": 1.0, "weight_decay": 0.01}


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    loaded = tiny()
    with tinker_session(tiny=loaded, texts_a_request=3) as (service, running):
        yield Pair(local_policy(tiny(), **SETTINGS), policy_on(service, loaded, **SETTINGS), running)


@pytest.fixture(scope="module")
def batch(pair: Pair) -> Batch:
    """Rollouts of every writer, with dense columns; the student's are those of its start, the sampler's near them."""
    pair.begin(random_adapters(pair.here))
    rollouts = rollouts_of([[4], [6], [3], [5], [7], [2], [4, 6]])
    rollouts[1].turns[0].origin[:] = Origin.DATA
    rollouts[2].turns[0].origin[:] = Origin.DATA
    rollouts[3].turns[0].origin[:] = Origin.TEACHER
    rollouts[4].turns[0].origin[:2] = Origin.TEACHER
    contexts = contexts_of(rollouts)
    table = batch_of(rollouts, contexts).table
    student = dense_rows(pair.here, [one.ids for one in contexts], table["context"], table["position"])
    generator = torch.Generator().manual_seed(0)
    teacher = (2 * torch.randn(student.shape, generator=generator)).log_softmax(1)
    behaviour = (student + 0.3 * torch.randn(student.shape, generator=generator)).log_softmax(1)
    table = replace(table, rollouts=graded(table))
    return Batch(contexts, fill(table, student=student, teacher=teacher, behaviour=behaviour, k=4))


@pytest.mark.parametrize("config", list(METHODS), ids=lambda c: c.__name__)
def test_a_step_there_is_a_step_here(config, pair: Pair, batch: Batch):
    """Losses and adapters after a step, both to 1e-4; measured they agree to some 1e-6."""
    method = config().method
    (plan,) = objective_of(config()).plan(batch.table, PlanContext(step=4, total_steps=9, seed=5))
    assert any(term.rows.numel() for term in plan.terms)
    if method in WHOLE_VOCABULARY:
        with pytest.raises(CapabilityError, match=r"whole vocabulary.*engine\.kind local"):
            pair.there.update(batch, plan)
        return
    pair.begin(random_adapters(pair.here))
    begun = pair.weights()[0]
    pair.running.desk.asked.clear()
    here, there = pair.here.update(batch, plan), pair.there.update(batch, plan)
    for name, value in here.sums.items():
        assert there.sums[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    assert there.grad_norm == pytest.approx(here.grad_norm, rel=1e-4)
    assert (there.learning_rate, there.num_tokens) == (here.learning_rate, here.num_tokens)
    weights, others = pair.weights()
    assert largest_difference(weights, begun) > 1e-3
    assert largest_difference(weights, others) < 1e-4
    passes = set(pair.running.desk.asked) - {"step"}
    assert passes == (
        {f"learn {NATIVE_STEP[method]}"} if method in NATIVE_STEP else {"forward cross_entropy", "learn cross_entropy"}
    )


def test_the_table_says_of_each_method_how_it_runs():
    table = {one.name: one for one in methods_on_tinker()}
    assert {name: one.loss for name, one in table.items() if one.how == "native"} == NATIVE
    refused = {name: one.reason for name, one in table.items() if one.how == "refused"}
    assert sorted(refused) == sorted([*WHOLE_VOCABULARY, *NOT_OF_THE_STUDENT])
    assert all("whole vocabularies" in refused[name] for name in WHOLE_VOCABULARY)
    assert all(
        what in refused[name] and "from the student" in refused[name] for name, what in NOT_OF_THE_STUDENT.items()
    )
    assert full_vocabulary_methods() == WHOLE_VOCABULARY
    assert set(table) == {config().method for config in METHODS}


def test_another_configuration_may_run_where_the_default_does_not():
    from understudy.objectives.methods.eopd import EOPD
    from understudy.objectives.methods.opd import OPD

    assert method_on_tinker(EOPD()) == MethodOnTinker(
        "eopd",
        "custom",
        loss="policy: likelihood, ratio ppo, forward_kl: forward target_renormalised",
        teacher="in this process: exact entropies",
    )
    assert method_on_tinker(OPD(discount=1.0)).how == "native"
