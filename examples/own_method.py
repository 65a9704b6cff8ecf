"""A method of your own: OPD that listens only where the student hesitates, beside a small reward.

    python examples/own_method.py                                      # the testbed's recipe, six steps
    python examples/own_method.py RECIPE.yaml key.sub=value ...        # any recipe with a teacher and a verifier

A method is a composition of pure functions of the batch's token table. What a function reads it declares with
`requires`, so that the step asks for it; the rest (sampling, scoring, packing, resuming) is as with any method.
"""

from __future__ import annotations

import sys

from torch import Tensor

import understudy as us
from understudy.objectives.context import PlanContext
from understudy.objectives.needs import requires
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import token_mean
from understudy.objectives.rewards import group_advantage
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.tokens import TokenTable

THRESHOLD_NATS = 0.3


@requires("student_entropy")
def hesitating(table: TokenTable, _: PlanContext) -> Tensor:
    """[N]: 1 where the student's own distribution is spread out, else 0."""
    return (table["student_entropy"] > THRESHOLD_NATS).float()


def hesitant_opd() -> Objective:
    """The teacher's log-ratio on hesitating tokens, and a tenth of GRPO's advantage on all."""
    return Objective(
        terms={
            "taught": policy_gradient(signal=teacher_log_ratio(), weight=hesitating),
            "rewarded": policy_gradient(signal=group_advantage(), coefficient=0.1),
        },
        reduction=token_mean(),
    )


def main(arguments: list[str]) -> us.Run:
    recipe, *overrides = arguments or ["recipes/testbed-opd.yaml", "name=own-method", "steps=6", "evaluation.suites=[]"]
    run = us.train(recipe, overrides, objective=hesitant_opd())
    print(f"{run.outcome.step} steps of a method of our own; its terms are curves of {run.path}/report.html")
    return run


if __name__ == "__main__":
    main(sys.argv[1:])
