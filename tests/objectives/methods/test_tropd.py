"""tropd: trusted tokens, outliers and the teacher's words, each against its claim."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.objectives.claims import at_visited_states, distance, forward_kl_top_k, log_ratio, on_policy, pulled_by
from tests.objectives.oracle import Chain, expected_gradient, gradient_of, make_chain, plan_loss, rollout_of
from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.tropd import TrOPD
from understudy.objectives.schedules import cosine, linear
from understudy.objectives.trust import trust_probability, trust_region
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


@dataclass(frozen=True)
class Drawn(PlanContext):
    """Every keyed draw falls on the same number."""

    draw: float = 0.0

    def uniform(self, purpose, table):
        return torch.full((table.num_tokens,), self.draw, dtype=torch.float64)


def config(**fields) -> TrOPD:
    return TrOPD(reduction="token_sum", **{"top_k": 2, "guidance": False, **fields})


def over_draws(settings: TrOPD, chain: Chain) -> Tensor:
    """The plan's gradient in expectation over sequences and over both outcomes of every token's draw."""
    table, rows = chain.filled(chain.batch(Origin.STUDENT)), chain.state_rows()
    sequence = chain.sequence_logprob(chain.logits).exp().detach()[table["rollout"]]
    trusted = (table["teacher_logprob"] - table["student_logprob"]).exp().clamp(max=1)
    total = torch.zeros((), dtype=torch.float64)
    for draw, probability in ((0.0, trusted), (1 - 2.0**-53, 1 - trusted)):
        (plan,) = objective_of(settings).plan(table, Drawn(draw=draw))
        total = total + plan_loss(plan, chain.logits[rows], scale=sequence * probability)
    return torch.autograd.grad(total, chain.logits)[0]


def claim_of(chain: Chain, outliers: str, *, tau: float = -2.0, flip: int = 1) -> Tensor:
    """The docstring's loss of each visited state: min(S, T) log u, and the share of outliers times what they get."""
    ratio = log_ratio(chain)
    trust = ratio.exp().clamp(max=1)
    share = (chain.logits.detach().softmax(1) * (1 - trust)).sum(1)  # the total variation
    kept = pulled_by(trust * ratio, chain)
    beyond = {
        "mask": lambda live: torch.zeros(()),
        "clip": pulled_by((1 - trust) * ratio.clamp(min=tau), chain),
        "forward_kl": lambda live: share * forward_kl_top_k(chain, 2)(live),
    }[outliers]
    return at_visited_states(chain, lambda live: kept(live) + flip * beyond(live))


@pytest.mark.parametrize("outliers", ["mask", "clip", "forward_kl"])
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_over_draws_is_the_claimed_one(outliers, seed):
    chain = make_chain(seed)
    assert distance(over_draws(config(outliers=outliers), chain), claim_of(chain, outliers)) < 1e-9


@pytest.mark.parametrize("outliers", ["mask", "clip", "forward_kl"])
def test_the_expected_region_has_the_same_expected_gradient_without_a_draw(outliers):
    chain = make_chain(2)
    found = on_policy(config(region="expected", outliers=outliers), chain)
    assert distance(found, claim_of(chain, outliers)) < 1e-9


def test_a_flipped_sign_or_an_ungated_outlier_would_be_noticed():
    chain = make_chain(0)
    found = over_draws(config(), chain)
    assert distance(found, claim_of(chain, "forward_kl", flip=-1)) > 1e-3
    assert distance(found, claim_of(chain, "mask")) > 1e-3


@pytest.mark.parametrize("outliers", ["mask", "clip", "forward_kl"])
def test_a_static_region_draws_its_line_at_tau(outliers):
    chain, tau = make_chain(1), -0.4
    ratio = log_ratio(chain)
    inside = ratio >= tau
    share = (chain.logits.detach().softmax(1) * ~inside).sum(1)
    assert 0 < int(inside.sum()) < inside.numel()
    kept = pulled_by(inside * ratio, chain)
    beyond = {
        "mask": lambda live: 0 * share,
        "clip": pulled_by((~inside).double() * tau, chain),
        "forward_kl": lambda live: share * forward_kl_top_k(chain, 2)(live),
    }[outliers]
    found = on_policy(config(region="static", outliers=outliers, tau=tau), chain)
    assert distance(found, at_visited_states(chain, lambda live: kept(live) + beyond(live))) < 1e-9


@pytest.mark.parametrize("region", ["bernoulli", "expected", "static"])
@pytest.mark.parametrize("outliers", ["mask", "clip", "forward_kl"])
def test_teacher_equal_to_student_trusts_everything_and_gives_exactly_zero(region, outliers):
    chain = make_chain(3)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    settings = config(region=region, outliers=outliers)
    table = chain.filled(chain.batch(Origin.STUDENT))
    (plan,) = objective_of(settings).plan(table, PlanContext(seed=4))
    assert plan.terms[0].rows.numel() == table.num_tokens
    assert torch.equal(trust_probability()(table, PlanContext()), torch.ones(table.num_tokens, dtype=torch.float64))
    loss = plan_loss(plan, chain.logits[chain.state_rows()])
    assert loss.item() == 0.0
    assert torch.equal(torch.autograd.grad(loss, chain.logits)[0], torch.zeros_like(chain.logits))


def test_guidance_is_the_weighted_likelihood_of_the_teacher_s_words():
    """In expectation over the teacher's texts: weight times KL(T||S) over whole sequences."""
    chain = make_chain(4)
    teacher = chain.sequence_logprob(chain.teacher)
    objective = objective_of(config(guidance=True, guidance_weight=0.25))
    found = expected_gradient(objective, chain, origin=Origin.TEACHER, probability=teacher.exp())
    claim = gradient_of(lambda x: 0.25 * (teacher.exp() * (teacher - chain.sequence_logprob(x))).sum(), chain)
    assert distance(found, claim) < 1e-9


def test_one_mean_over_prefix_and_response_and_no_ratio_on_the_prefix():
    mixed = rollout_of([1, 2, 1, 2], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[:2] = Origin.TEACHER
    only_prefix = rollout_of([1, 1, 2], key=1, group=0, origin=Origin.TEACHER)  # the teacher's text ended within it
    batch = batch_of([mixed, only_prefix], contexts_of([mixed, only_prefix]))
    teacher = torch.tensor([-9.0, -9.0, -1.0, -1.0, -9.0, -9.0, -9.0], dtype=torch.float64)
    table = batch.table.with_tokens(teacher_logprob=teacher, student_logprob=torch.full_like(teacher, -3.0))
    table = table.with_tokens(behaviour_logprob=table["student_logprob"])
    settings = TrOPD(region="expected", outliers="mask", guidance_weight=0.1)
    (plan,) = objective_of(settings).plan(table, PlanContext())
    trusted, guidance = plan.terms
    assert (trusted.name, trusted.rows.tolist()) == ("trusted", [2, 3])
    assert trusted.row_loss.advantage[:, 0].tolist() == [2.0, 2.0]
    assert guidance.rows.tolist() == [0, 1, 4, 5, 6] and guidance.row_loss.ratio.kind == "one"
    assert guidance.weights.tolist() == pytest.approx([0.1 / 7] * 5)
    assert trusted.weights.tolist() == pytest.approx([1 / 7] * 2)


def test_the_prefix_shrinks_from_the_whole_length_to_nothing():
    prefix = objective_of(TrOPD(prefix_length="uniform")).writing.prefix
    assert prefix is not None and prefix.length == "uniform"
    steps = [prefix.longest(PlanContext(step=s, total_steps=5), max_completion_length=100) for s in range(5)]
    assert steps == [100, 85, 50, 15, 0]
    early = objective_of(TrOPD(guidance_steps=2)).writing.prefix
    assert early is not None
    steps = [early.longest(PlanContext(step=s, total_steps=5), max_completion_length=100) for s in range(5)]
    assert steps == [100, 50, 0, 0, 0]
    assert objective_of(TrOPD(guidance=False)).writing.prefix is None
    assert objective_of(TrOPD()).writing.needs_teacher_text
    assert not objective_of(TrOPD(guidance=False)).writing.needs_teacher_text


@pytest.mark.parametrize("schedule", [linear, cosine])
def test_a_schedule_that_ends_before_it_starts_is_refused_when_it_is_made(schedule):
    with pytest.raises(RecipeError, match="ends before it starts; got over_steps -1; expected 0 or more steps"):
        schedule(1.0, 0.0, over_steps=-1)


def test_the_paper_s_variants_ask_the_teacher_for_no_more_than_they_use():
    mask = TrOPD(region="static", outliers="mask", guidance=False)
    assert objective_of(mask).needs.describe() == ["student_logprob", "teacher_logprob"]
    assert objective_of(TrOPD()).needs.describe() == ["student_logprob", "teacher_logprob", "teacher_top_64"]


def test_identity_9_the_drawn_mask_keeps_one_minus_the_total_variation():
    """And the expected masked advantage of a token is min(u, 1) log u, never below -1/e."""
    chain = make_chain(5)
    table = chain.filled(chain.batch(Origin.STUDENT))
    sequence = chain.sequence_logprob(chain.logits).exp().detach()[table["rollout"]]
    ratio = table["teacher_logprob"] - table["student_logprob"]
    student, teacher = chain.logits.detach().softmax(1), chain.teacher.softmax(1)
    kept = (sequence * trust_probability()(table, PlanContext())).sum()
    reach = chain.reach(chain.logits).detach()
    assert torch.allclose(kept, (reach * (1 - (student - teacher).abs().sum(1) / 2)).sum(), atol=1e-12)
    trusted = trust_region()  # once: under test every closure is checked anew, which takes longer than its draws
    draws = torch.stack([trusted(table, PlanContext(seed=s)) for s in range(4000)]).double().mean(0)
    # Four standard errors of a mean of 4,000 draws.
    assert (draws - trust_probability()(table, PlanContext())).abs().max() < 4 * 0.5 / 4000**0.5
    masked = trust_probability()(table, PlanContext()) * ratio
    assert masked.min() >= -1 / torch.e
    assert torch.allclose(masked, ratio.exp().clamp(max=1) * ratio, atol=1e-12)
