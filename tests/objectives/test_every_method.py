"""Laws that hold for every method, and the rule that a method brings its oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.objectives.oracle import fill, graded, make_chain, plan_loss
from understudy.objectives import methods
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import METHODS, entries, objective_of
from understudy.objectives.methods.atod import ATOD
from understudy.objectives.methods.kdrl import KDRL
from understudy.objectives.methods.reopold import REOPOLD
from understudy.objectives.methods.tropd import TrOPD
from understudy.objectives.methods.tropd_aopd import TrOPDAOPD
from understudy.objectives.methods.veto import Veto
from understudy.objectives.synthetic import synthetic_table
from understudy.rollouts import Origin
from understudy.tokens import batch_of

CONFIGS = list(METHODS)
VARIANTS = [
    REOPOLD(stages="two_stage"),
    TrOPD(guidance=False),
    TrOPD(guidance_steps=5),
    TrOPDAOPD(guidance_steps=5),
    KDRL(beta_anneal_steps=5),
    ATOD(coef_anneal_steps=5),
    Veto(direction="forward"),
]


def test_a_method_without_an_oracle_fails():
    tests = "".join(path.read_text() for path in (Path(__file__).parent / "methods").glob("test_*.py"))
    files = {path.stem for path in Path(methods.__path__[0]).glob("*.py")} - {"__init__", "config", "catalogue"}
    assert files == {entry.name for entry in entries()}
    for config in CONFIGS:
        assert f"{config.__name__}(" in tests and "expected_gradient" in tests, f"{config.__name__} has no oracle"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_documentation_names_idea_source_and_needs(config):
    entry = next(e for e in entries() if e.name == config().method)
    assert len(entry.idea) > 20 and len(entry.source) > 10
    assert entry.needs and entry.writers


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_order_of_rollouts_does_not_change_the_gradient(config):
    chain = make_chain(0, length=4)
    writer = {"student": Origin.STUDENT, "teacher": Origin.TEACHER, "data": Origin.DATA}[
        next(e for e in entries() if e.name == config().method).writers[0]
    ]
    gradients = []
    for order in (range(len(chain.sequences)), reversed(range(len(chain.sequences)))):
        chain_rows = chain.state_rows()
        batch = chain.batch(writer)
        table = chain.filled(batch)
        keep = torch.cat([(table["rollout"] == r).nonzero()[:, 0] for r in order])
        permuted = type(table)(
            tokens={name: column[keep] for name, column in table.tokens.items()},
            turns=table.turns,
            rollouts=graded(table),
            wide={n: type(w)(w.ids[keep], w.logprobs[keep]) for n, w in table.wide.items()},
            hidden={n: type(h)(h.states[keep], h.project) for n, h in table.hidden.items()},
        )
        (plan,) = objective_of(config()).plan(permuted, PlanContext())
        rows = chain_rows[keep]
        loss = plan_loss(plan, chain.logits[rows], targets={"teacher": chain.teacher[rows]})
        gradients.append(torch.autograd.grad(loss, chain.logits)[0])
    assert gradients[0].abs().max() > 0
    assert (gradients[0] - gradients[1]).abs().max() < 1e-12


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_a_batch_without_rows_plans_exactly_zero(config):
    none = torch.zeros(0, 3, dtype=torch.float64)
    empty = fill(batch_of([], []).table, student=none, teacher=none, behaviour=none, k=2)
    (plan,) = objective_of(config()).plan(empty, PlanContext())
    logits = torch.zeros(0, 3, requires_grad=True, dtype=torch.float64)
    assert plan_loss(plan, logits, targets={"teacher": torch.zeros(0, 3)}).item() == 0.0
    assert all(value == value or name.endswith(("p05", "p95")) for name, value in plan.statistics.items())


class WatchedContext(PlanContext):
    """Step 3 of 10; notes whether anybody asks how many there are."""

    was_asked = False

    def __getattribute__(self, name: str) -> object:
        if name in ("total_steps", "progress"):
            WatchedContext.was_asked = True
        return super().__getattribute__(name)


@pytest.mark.parametrize("config", [config() for config in CONFIGS] + VARIANTS, ids=str)
def test_a_method_whose_plan_or_writing_depends_on_the_number_of_steps_says_so(config):
    objective = objective_of(config)
    WatchedContext.was_asked = False
    context = WatchedContext(step=3, total_steps=10)
    objective.plan(synthetic_table(objective), context)
    if objective.writing.prefix is not None:
        objective.writing.prefix.longest(context, max_completion_length=8)
    assert WatchedContext.was_asked == bool(config.tied_to_steps())
    assert all(hasattr(config, name) for name in config.tied_to_steps())
