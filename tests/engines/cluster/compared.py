"""What ranks told and kept, beside what one process makes of the same case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engines.cluster.steps import STEPS, Case, options, steps, student, told
from understudy.engines.local import LocalPolicy


def one_process(place: Path, case: Case) -> None:
    """Take the case's steps here, save them, take one more, and keep what was told; makes the folder."""
    place.mkdir()
    policy = LocalPolicy(student(case), **options(case))  # type: ignore[arg-type]
    (place / "told-local.json").write_text(json.dumps(told(steps(policy, case, None))))
    policy.save(place / "from-local")
    (place / "next.json").write_text(json.dumps(told(steps(policy, case, None, start=STEPS, count=1))))


def steps_are_those_of_one_process(place: Path, case: Case, layout: str) -> None:
    """Sums, norms and the weights after the steps.

    Args:
        place: the case's folder. layout: of the ranks, as their files are named.
    """
    same(_told(place, layout)["steps"], json.loads((place / "told-local.json").read_text()))
    policy = _local(place / "from-local", case)
    weights = load_file(place / f"weights-{layout}")
    expected = {name: p.detach() for name, p in policy.model.named_parameters() if p.requires_grad}
    assert set(weights) == set(expected)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=1e-5, msg=f"{name} {case.name}")


def checkpoints_cross(place: Path, case: Case, layout: str, before: list[str]) -> None:
    """The next step after each checkpoint that these ranks read, and after theirs in one process.

    Args:
        before: layouts whose checkpoints they read, their own among them.
    """
    found, expected = _told(place, layout), json.loads((place / "next.json").read_text())
    read = sorted(set(found) - {"steps"})
    assert read == sorted(["from-local", *(f"from-{one}" for one in before)])
    for name in read:
        same(found[name], expected)
    same(told(steps(_local(place / f"from-{layout}", case), case, None, start=STEPS, count=1)), expected)


def same(got: list[dict[str, object]], expected: list[dict[str, object]]) -> None:
    """Terms' sums and norms of each update, within 1e-5."""
    assert len(got) == len(expected) > 0
    for one, other in zip(got, expected, strict=True):
        assert one["sums"] == pytest.approx(other["sums"], rel=1e-5, abs=1e-5)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-5, abs=1e-5)
        assert one["tokens"] == other["tokens"]


def _told(place: Path, layout: str) -> dict[str, list[dict[str, object]]]:
    return dict(json.loads((place / f"told-{layout}.json").read_text()))


def _local(checkpoint: Path, case: Case) -> LocalPolicy:
    policy = LocalPolicy(student(case), **options(case))  # type: ignore[arg-type]
    policy.load(checkpoint)
    return policy
