"""One row of a teacher's candidates under the student's ids, by hand."""

from __future__ import annotations

import torch

from understudy.teachers.alignment_top_k import under_shared_ids


def row(probabilities: dict[int, float], shared: dict[int, int], *, k: int) -> tuple[list[int], list[float]]:
    """Ids and probabilities of what is left."""
    ids, logprobs = torch.tensor(list(probabilities)), torch.tensor(list(probabilities.values())).log()
    found, left = under_shared_ids(ids, logprobs, shared, k=k)
    return found.tolist(), left.exp().tolist()


def test_candidates_of_equal_bytes_are_one_with_the_mass_of_both() -> None:
    ids, mass = row({10: 0.3, 11: 0.25, 12: 0.4}, {10: 1, 11: 1, 12: 2}, k=2)
    assert ids == [1, 2], "the two together are likelier than the third"
    torch.testing.assert_close(mass, [0.55, 0.4])


def test_what_has_no_counterpart_is_left_out_and_its_mass_is_missing() -> None:
    ids, mass = row({10: 0.6, 11: 0.3}, {11: 5}, k=1)
    assert ids == [5]
    torch.testing.assert_close(mass, [0.3])


def test_a_row_of_too_few_is_filled_up_by_tokens_without_mass() -> None:
    ids, mass = row({10: 0.6}, {10: 1, 11: 2, 12: 3}, k=2)
    assert ids == [1, 2] and mass[1] == 0.0
