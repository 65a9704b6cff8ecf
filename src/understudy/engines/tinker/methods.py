"""How each method's default step runs on the Tinker service: a loss of the service, a custom one, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from understudy.engines.tinker.native import native_plan
from understudy.engines.tinker.scorer import capabilities_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import METHODS, objective_of
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.synthetic import synthetic_table
from understudy.plans import Divergence, Full, Likelihood, LossPlan, LossTerm

How = Literal["native", "custom", "refused"]
_SERVICE = capabilities_of(1 << 20, max_ids=1 << 20)


@dataclass(frozen=True)
class MethodOnTinker:
    """One method.

    Args:
        name: as written in a recipe. how: it learns there. loss: the service's, where it is one, or what is computed on
            this side. reason: why it is refused; empty where it is not.
        teacher: where its teacher may be; empty where it has none.
    """

    name: str
    how: How
    loss: str = ""
    reason: str = ""
    teacher: str = ""


@cache
def methods_on_tinker() -> Sequence[MethodOnTinker]:
    """One entry a method, sorted by name, each with its default configuration."""
    default: list[MethodConfig] = [config.model_validate({}) for config in METHODS]
    return [method_on_tinker(config) for config in sorted(default, key=lambda one: one.method)]


def method_on_tinker(config: MethodConfig) -> MethodOnTinker:
    """How a method with this configuration runs."""
    objective = objective_of(config)
    plan = _planned(objective)
    reason = _why_refused(objective, plan)
    teacher = _where_teacher_may_be(objective)
    if reason:
        return MethodOnTinker(config.method, "refused", reason=reason, teacher=teacher)
    native = native_plan(plan.terms)
    if native is None:
        return MethodOnTinker(config.method, "custom", loss=", ".join(map(_described, plan.terms)), teacher=teacher)
    return MethodOnTinker(config.method, "native", loss=native.name, teacher=teacher)


def _described(term: LossTerm) -> str:
    loss = term.row_loss
    if isinstance(loss, Likelihood):
        return f"{term.name}: likelihood, ratio {loss.ratio.kind}"
    return f"{term.name}: {loss.kind}" + (f" {loss.support}" if isinstance(loss, Divergence) else "")


def why_refused(objective: Objective) -> str:
    """Why the student cannot learn this on the service, wherever the teacher is; empty where it can."""
    return _why_refused(objective, _planned(objective))


def _why_refused(objective: Objective, plan: LossPlan) -> str:
    if any(isinstance(term.support, Full) for term in plan.terms):
        return "compares whole vocabularies; the service gives log-probs at chosen ids"
    missing = objective.needs.missing_from("student", _SERVICE)
    return f"needs {' and '.join(missing)} from the student" if missing else ""


def full_vocabulary_methods() -> list[str]:
    """Names of the methods whose default compares whole vocabularies, sorted."""
    return [one.name for one in methods_on_tinker() if "whole vocabularies" in one.reason]


def _planned(objective: Objective) -> LossPlan:
    return objective.plan(synthetic_table(objective), PlanContext())[0]


def _where_teacher_may_be(objective: Objective) -> str:
    if "teacher" not in objective.needs.scorers():
        return ""
    missing = objective.needs.missing_from("teacher", _SERVICE)
    return f"in this process: {' and '.join(missing)}" if missing else "anywhere"


def method_rows(methods: Sequence[MethodOnTinker]) -> list[list[str]]:
    """The table for people, its head first: method, how it runs, what runs it or why not, where a teacher may be."""
    head = ["method", "on Tinker", "loss, or why not", "teacher"]
    rows = []
    for one in methods:
        where = "" if one.how == "refused" else one.teacher or "none"
        rows.append([one.name, one.how, one.loss or one.reason, where])
    return [head, *rows]


def methods_markdown() -> str:
    """The table of all methods as it stands in docs/tinker.md."""
    head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in method_rows(methods_on_tinker())]
    lines = [head, ["---"] * len(head), *([f"`{row[0]}`", *row[1:]] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
