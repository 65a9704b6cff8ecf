"""Divergences as plan-time figures: exact from hidden states in chunks, and on the student's top-k."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.oracle import fill
from tests.objectives.probes import make_probe, rollouts_of
from understudy.errors import ShapeError
from understudy.objectives.context import PlanContext
from understudy.objectives.needs import needs_of
from understudy.objectives.row_divergences import exact_reverse_kl, top_k_reverse_kl
from understudy.tokens import Hidden


def probe_with_heads():
    """States of width 3 and 4 with heads of their own; the teacher's knows two ids more."""
    probe = make_probe(rollouts_of([[4], [6], [3]]))
    generator = torch.Generator().manual_seed(1)
    count = probe.table.num_tokens
    sizes = {"student": (3, 9), "teacher": (4, 11)}
    states = {n: torch.randn(count, w, generator=generator, dtype=torch.float64) for n, (w, _) in sizes.items()}
    heads = {n: torch.randn(w, v, generator=generator, dtype=torch.float64) for n, (w, v) in sizes.items()}
    table = probe.table.with_hidden(**{n: Hidden(states[n], lambda s, h=heads[n]: s @ h) for n in sizes})
    return table, {n: states[n] @ heads[n] for n in sizes}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk_values", [1, 20, 1 << 20])
def test_the_exact_kl_is_that_of_the_shared_vocabulary_in_any_chunks(temperature, chunk_values):
    table, logits = probe_with_heads()
    found = exact_reverse_kl(chunk_values=chunk_values)(table, PlanContext(temperature=temperature))
    student = (logits["student"] / temperature).softmax(1)
    teacher = (logits["teacher"][:, :9] / temperature).softmax(1)
    assert torch.allclose(found, (student * (student / teacher).log()).sum(1), atol=1e-12)


def test_no_more_logits_than_a_chunk():
    table, _ = probe_with_heads()
    seen = []
    hidden = table.hidden_column("student")
    table = table.with_hidden(student=Hidden(hidden.states, lambda s: (seen.append(s.shape[0]), hidden.project(s))[1]))
    exact_reverse_kl(chunk_values=5 * 9)(table, PlanContext())
    assert seen == [1, 5, 5, 3]  # one row first, to learn the size of the vocabulary


def test_a_narrower_teacher_is_refused():
    table, _ = probe_with_heads()
    narrow = Hidden(table.hidden_column("teacher").states, lambda s: s)
    with pytest.raises(ShapeError):
        exact_reverse_kl()(table.with_hidden(teacher=narrow), PlanContext())


def test_both_figures_by_hand():
    probe = make_probe(rollouts_of([[1]]))
    student = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
    teacher = torch.tensor([[0.1, 0.6, 0.3]], dtype=torch.float64).log()
    table = fill(
        probe.table.with_tokens(token_id=torch.tensor([1])), student=student, teacher=teacher, behaviour=student, k=2
    )
    exact = 0.5 * torch.tensor(5.0).double().log() + 0.3 * torch.tensor(0.5).double().log()
    tail = 0.2 * torch.tensor(2 / 3).double().log()
    assert exact_reverse_kl()(table, PlanContext()).item() == pytest.approx(float(exact + tail), abs=1e-7)
    assert top_k_reverse_kl(2)(table, PlanContext()).item() == pytest.approx(float(exact), abs=1e-12)


def test_entries_without_mass_are_finite_and_no_rows_are_no_figures():
    table, _ = probe_with_heads()
    hidden = table.hidden_column("teacher")
    cut = Hidden(hidden.states, lambda s: hidden.project(s).index_fill(1, torch.tensor([0]), -torch.inf))
    assert torch.isfinite(exact_reverse_kl()(table.with_hidden(teacher=cut), PlanContext())).all()
    empty = make_probe(rollouts_of([[]])).table
    assert exact_reverse_kl()(empty, PlanContext()).shape == top_k_reverse_kl(3)(empty, PlanContext()).shape == (0,)


def test_what_each_asks_for():
    assert needs_of(exact_reverse_kl()).hidden == {"student", "teacher"}
    assert needs_of(top_k_reverse_kl(5)).describe() == ["student_top_5", "teacher_at_student_top_k"]
