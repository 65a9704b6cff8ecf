"""Laws of the sampled-token and gated methods: nothing to learn from is zero, no mass is no NaN, ranks agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.probes import TOP_K, check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import MethodConfig, objective_of
from understudy.objectives.methods.aopd import AOPD
from understudy.objectives.methods.entropy_opd import EntropyOPD
from understudy.objectives.methods.eopd import EOPD
from understudy.objectives.methods.exopd import ExOPD
from understudy.objectives.methods.gopd import GOPD
from understudy.objectives.methods.iw_opd import IWOPD
from understudy.objectives.methods.lightning import Lightning
from understudy.objectives.methods.power_opd import PowerOPD
from understudy.objectives.methods.prefix_teach import PrefixTeach
from understudy.objectives.methods.pw_opsd import PWOPSD
from understudy.objectives.methods.reopold import REOPOLD
from understudy.objectives.methods.tropd import TrOPD
from understudy.objectives.methods.tropd_aopd import TrOPDAOPD
from understudy.rollouts import Origin

LENGTHS = [[3, 5], [4], [2, 2], [6], [], [1, 1, 1], [7], [5]]
CONTEXT = PlanContext(step=1, total_steps=3, seed=5)
CONFIGS: dict[str, MethodConfig] = {
    "tropd": TrOPD(guidance=False),
    "tropd mask": TrOPD(region="static", outliers="mask", guidance=False),
    "tropd clip": TrOPD(region="expected", outliers="clip", guidance=False),
    "tropd_aopd": TrOPDAOPD(guidance=False),
    "aopd": AOPD(),
    "aopd renormalised": AOPD(support="renormalised"),
    "entropy_opd": EntropyOPD(share=0.5, denominator="gated"),
    "entropy_opd rollout": EntropyOPD(share=0.5, over="rollout"),
    "eopd": EOPD(tau=1.0, top_k=TOP_K),
    "reopold": REOPOLD(),
    "reopold first": REOPOLD(floor=-0.5, stages="two_stage", switch=1.0),
    "reopold second": REOPOLD(stages="two_stage", switch=0.0, share=0.5),
    "gopd": GOPD(sure_below=1.5),
    "exopd": ExOPD(lambda_=1.5),
    "power_opd": PowerOPD(),
    "power_opd ratio": PowerOPD(of="ratio"),
    "iw_opd": IWOPD(),
    "pw_opsd": PWOPSD(),
    "pw_opsd jsd": PWOPSD(beta=0.5),
    "prefix_teach": PrefixTeach(top_k=TOP_K, block_tokens=1, shortest=1, denominator="gated"),
    "prefix_teach sentences": PrefixTeach(top_k=TOP_K, sentence_ends=(3, 4), shortest=1),
    "lightning": Lightning(clip=2.0),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("reduction", ["token_mean", "sequence_mean_token_mean"])
def test_tokens_that_the_student_did_not_choose_give_exactly_zero(name, reduction):
    rollouts = rollouts_of(LENGTHS)
    for rollout in rollouts:
        for turn in rollout.turns:
            turn.origin[:] = Origin.TEACHER
    probe = make_probe(rollouts)
    unsampled = torch.full_like(probe.table["behaviour_logprob"], torch.nan)
    probe.table = probe.table.with_tokens(behaviour_logprob=unsampled)
    (plan,) = objective_of(CONFIGS[name].model_copy(update={"reduction": reduction})).plan(probe.table, CONTEXT)
    assert all(term.rows.numel() == 0 for term in plan.terms)
    assert torch.equal(probe.gradient([plan]), torch.zeros_like(probe.weight))
    assert all(value == value or key.endswith(("p05", "p95")) for key, value in plan.statistics.items())


@pytest.mark.parametrize("name", CONFIGS)
def test_ranks_agree_on_every_update_also_where_the_teacher_gives_no_mass(name):
    rollouts = rollouts_of(LENGTHS)
    rollouts[1].turns[0].origin[:2] = Origin.TEACHER
    probe = make_probe(rollouts)
    table = probe.table
    probe.teacher = probe.teacher.clone()
    probe.teacher[::3, 1] = -torch.inf
    top, chosen = table.wide_column("teacher_top_k"), table.wide_column("teacher_at_student_top_k")
    none = torch.zeros(table.num_tokens, dtype=torch.bool)
    none[::3] = True
    columns = {n: torch.where(none, -torch.inf, table[n].double()) for n in ("teacher_logprob", "reference_logprob")}
    last = torch.arange(TOP_K)[None] >= TOP_K - 2
    wide = {
        "teacher_top_k": replace(top, logprobs=top.logprobs.masked_fill(none[:, None] & last, -torch.inf)),
        "teacher_at_student_top_k": replace(chosen, logprobs=chosen.logprobs.masked_fill(none[:, None], -torch.inf)),
    }
    probe.table = table.with_tokens(**columns).with_wide(**wide)
    config = CONFIGS[name].model_copy(update={"num_updates": 2})
    gradients = check_on_ranks(objective_of(config), probe, context=CONTEXT)
    assert len(gradients) == 2
    assert all(torch.isfinite(gradient).all() and gradient.abs().max() > 1e-6 for gradient in gradients)
