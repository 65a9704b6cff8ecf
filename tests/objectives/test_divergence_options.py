"""Divergences on ids: every kind and support at K = V, entries that do not count, targets without mass, options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.objectives.divergence_claims import forward_kl, jsd, renormalised, reverse_kl, with_tail
from understudy.errors import ShapeError
from understudy.objectives.row_losses import evaluate, evaluate_full
from understudy.plans import Divergence

ROWS, VOCABULARY = 4, 7

KINDS = [
    Divergence("forward"),
    Divergence("reverse"),
    *(Divergence("jsd", beta=beta) for beta in (0.0, 0.3, 1.0)),
    Divergence("skew_forward", alpha=0.2),
    Divergence("skew_reverse", alpha=0.2),
]
SUPPORTS = ["raw", "renormalised", "target_renormalised", "tail", "detached_log"]


def loss_of(kind: Divergence, live: Tensor, teacher: Tensor) -> Tensor:
    """[M], each kind written out."""
    student, target = live.exp(), teacher.exp()
    if kind.kind == "skew_forward":
        return forward_kl((kind.alpha * target + (1 - kind.alpha) * student).log(), teacher)
    if kind.kind == "skew_reverse":
        return reverse_kl(live, ((1 - kind.alpha) * target + kind.alpha * student).log())
    if kind.kind == "jsd":
        return jsd(live, teacher, beta=kind.beta)
    return forward_kl(live, teacher) if kind.kind == "forward" else reverse_kl(live, teacher)


def with_support(kind: Divergence, support: str, **options: object) -> Divergence:
    return Divergence(kind.kind, beta=kind.beta, alpha=kind.alpha, support=support, **options)


def allowed(kind: Divergence, support: str) -> bool:
    return support != "detached_log" or kind.kind == "reverse"


CASES = [(kind, support) for kind in KINDS for support in SUPPORTS if allowed(kind, support)]


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(ROWS, VOCABULARY, generator=generator, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(ROWS, VOCABULARY, generator=generator, dtype=torch.float64).log_softmax(1)
    return student, teacher


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]


@pytest.mark.parametrize(("kind", "support"), CASES)
def test_on_all_ids_every_support_is_the_divergence_itself(pair, kind, support):
    student, teacher = pair
    ids = torch.stack([torch.randperm(VOCABULARY) for _ in range(ROWS)])
    on_ids = Divergence(kind.kind, target=teacher.gather(1, ids), support=support, beta=kind.beta, alpha=kind.alpha)
    found = evaluate(on_ids, student.log_softmax(1).gather(1, ids))
    claim = loss_of(kind, student.log_softmax(1), teacher)
    whole = evaluate_full(kind, student.log_softmax(1), teacher)
    assert torch.allclose(whole, claim, atol=1e-12)
    assert torch.allclose(found, claim, atol=1e-9)
    for loss in (found, whole):
        assert torch.allclose(gradient(loss, student), gradient(claim, student), atol=1e-9)


@pytest.mark.parametrize(("kind", "support"), CASES)
@pytest.mark.parametrize("floor", [-100.0, -3.0])
def test_entries_that_do_not_count_are_as_if_they_were_not_there(pair, kind, support, floor):
    student, teacher = pair
    ids, valid = torch.arange(5).expand(ROWS, 5), torch.tensor([True, False, True, True, False]).expand(ROWS, 5)
    live, target = student.log_softmax(1).gather(1, ids), teacher.gather(1, ids)
    padded = with_support(kind, support, target=target, target_floor=floor)
    kept = with_support(kind, support, target=target[:, [0, 2, 3]], target_floor=floor)
    found, claim = evaluate(padded, live, valid=valid), evaluate(kept, live[:, [0, 2, 3]])
    assert torch.allclose(found, claim, atol=1e-12)
    assert torch.allclose(gradient(found, student), gradient(claim, student), atol=1e-12)
    nothing = evaluate(padded, student.log_softmax(1).gather(1, ids), valid=torch.zeros_like(valid))
    assert nothing.abs().max() < 1e-12


@pytest.mark.parametrize(("kind", "support"), CASES)
def test_a_target_without_mass_at_some_ids_gives_finite_numbers(pair, kind, support):
    student, teacher = pair
    target = teacher.clone()
    target[:, 1], target[0] = -torch.inf, -torch.inf
    divergence = with_support(kind, support, target=target[:, :5])
    loss = evaluate(divergence, student.log_softmax(1)[:, :5])
    assert torch.isfinite(loss).all() and torch.isfinite(gradient(loss, student)).all()
    if support == "raw":
        whole = evaluate_full(kind, student.log_softmax(1), target)
        assert torch.isfinite(whole).all() and torch.isfinite(gradient(whole, student)).all()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_product_with_the_student_is_normalised_and_a_constant(pair, power):
    student, teacher = pair
    fixed = student.detach().log_softmax(1)
    product = teacher.exp() * fixed.exp() ** power
    target = (product / product.sum(1, keepdim=True)).log()
    for kind in KINDS:
        found = evaluate_full(with_support(kind, "raw", student_power=power), student.log_softmax(1), teacher)
        claim = loss_of(kind, student.log_softmax(1), target)
        assert torch.allclose(gradient(found, student), gradient(claim, student), atol=1e-10)
        on_ids = with_support(kind, "raw", student_power=power, target=teacher)
        again = evaluate(on_ids, student.log_softmax(1), valid=torch.ones(ROWS, VOCABULARY, dtype=torch.bool))
        assert torch.allclose(again, claim, atol=1e-10)


def test_identity_13_forward_in_logits_is_student_minus_normalised_product(pair):
    student, teacher = pair
    loss = evaluate_full(Divergence("forward", student_power=0.7), student.log_softmax(1), teacher)
    fixed = student.detach().log_softmax(1)
    expected = fixed.exp() - (teacher + 0.7 * fixed).softmax(1)
    assert torch.allclose(gradient(loss, student), expected, atol=1e-12)


def test_a_clipped_log_ratio_by_hand():
    live = torch.tensor([[0.8, 0.2]], dtype=torch.float64).log().requires_grad_()
    target = torch.tensor([[0.1, 0.9]], dtype=torch.float64).log()
    loss = evaluate(Divergence("reverse", target=target, log_ratio_clip=2.0), live)
    # log 8 = 2.079 is cut to 2; log(2/9) = -1.504 is not.
    assert loss.item() == pytest.approx(0.8 * 2 + 0.2 * -1.5040774)
    (found,) = torch.autograd.grad(loss, live)
    assert found[0].tolist() == pytest.approx([0.8 * 2, 0.2 * (-1.5040774 + 1)])
    whole = evaluate_full(Divergence("reverse", log_ratio_clip=2.0), live, target)
    assert whole.item() == pytest.approx(loss.item())


@pytest.mark.parametrize(
    "options", [{"kind": "forward"}, {"kind": "jsd"}, {"kind": "reverse", "support": "detached_log"}]
)
def test_a_clip_where_it_means_nothing_is_refused(options):
    with pytest.raises(ShapeError, match="log_ratio_clip"):
        Divergence(**options, log_ratio_clip=5.0)


def test_identity_6_each_cure_of_the_raw_form_is_at_rest_at_the_teacher_and_raw_is_not(pair):
    _, teacher = pair
    student = teacher.clone().requires_grad_()
    ids = teacher.topk(3).indices
    target = teacher.gather(1, ids)
    for support in ("renormalised", "tail", "detached_log"):
        loss = evaluate(Divergence("reverse", target=target, support=support), student.log_softmax(1).gather(1, ids))
        assert gradient(loss, student).abs().max() < 1e-12, support
    raw = evaluate(Divergence("reverse", target=target), student.log_softmax(1).gather(1, ids))
    probability, inside = teacher.exp(), torch.zeros_like(teacher).scatter(1, ids, 1.0)
    spurious = probability * (inside - (probability * inside).sum(1, keepdim=True))
    assert torch.allclose(gradient(raw, student), spurious, atol=1e-12) and spurious.abs().max() > 1e-2


def test_identity_7_a_renormalised_support_never_moves_mass_across_its_edge(pair):
    student, teacher = pair
    ids = teacher.topk(3).indices
    live = student.log_softmax(1).gather(1, ids)
    for kind in KINDS:
        loss = evaluate(with_support(kind, "renormalised", target=teacher.gather(1, ids)), live)
        found = gradient(loss, student)
        inside = torch.zeros_like(teacher, dtype=torch.bool).scatter(1, ids, True)
        assert found[~inside].abs().max() < 1e-15 < found[inside].abs().max()
        claim = loss_of(kind, renormalised(student.log_softmax(1).gather(1, ids)), renormalised(teacher.gather(1, ids)))
        assert torch.allclose(loss, claim, atol=1e-12)


def test_a_tail_bucket_is_a_coarser_distribution_and_so_a_lower_bound(pair):
    student, teacher = pair
    ids = teacher.topk(3).indices
    for kind in KINDS:
        live = student.log_softmax(1)
        found = evaluate(with_support(kind, "tail", target=teacher.gather(1, ids)), live.gather(1, ids))
        claim = loss_of(kind, with_tail(live.gather(1, ids)), with_tail(teacher.gather(1, ids)))
        assert torch.allclose(found, claim, atol=1e-10)
        assert bool((found <= loss_of(kind, live, teacher) + 1e-12).all()) and bool((found > 0).all())
