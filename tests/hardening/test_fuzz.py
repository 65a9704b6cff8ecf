"""A few inputs of every kind; ``python -m benchmarks.fuzz`` gives each reader as many as one likes."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.hardening.all_kinds import KINDS
from tests.hardening.target import Target, judge
from understudy.errors import DataError

PATIENCE_SECONDS = 60.0
"""The suite may share its machine with much other work."""

INPUTS = {
    "resumed-run": 2,
    "reported-run": 2,
    "hostile-report": 2,
    "model-folder": 4,
    "policy-checkpoint": 8,
    "checkpoint-files": 15,
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_does_more_than_be_refused(kind: str, tmp_path: Path) -> None:
    target = KINDS[kind].opened(tmp_path)
    for number in range(INPUTS.get(kind, 30)):
        content = target.make(Random(f"gate {kind} {number}"))
        finding = judge(target, content, deadline_seconds=PATIENCE_SECONDS).finding
        assert finding is None, f"{finding.what}\n{content[:2000]!r}\n{finding.trace}"


def test_a_fault_is_found() -> None:
    """The judge tells a refusal from a fault, and from a reader that never ends."""

    def attempt(content: bytes) -> None:
        if content == b"refused":
            raise DataError("no")
        if content == b"broken":
            raise KeyError("x")
        while content == b"endless":
            pass
        if content == b"wordless":
            raise DataError("")

    target = Target("test", lambda _: b"", attempt)
    assert judge(target, b"good").taken
    refused = judge(target, b"refused")
    assert not refused.taken and refused.finding is None
    whats = [judge(target, content, deadline_seconds=0.2).finding for content in (b"broken", b"endless", b"wordless")]
    assert ["KeyError" in whats[0].what, "hangs" in whats[1].what, "without a word" in whats[2].what] == [True] * 3
