"""Where the answer stands in a completion: the last box that closes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.workers.mathematics_job import last_box

BOX = r"\boxed{"


def by_definition(text: str) -> str | None:
    """From each box, the last one first, on to the brace that closes it."""
    for begin in (place + len(BOX) for place in reversed(range(len(text))) if text.startswith(BOX, place)):
        depth = 1
        for end in range(begin, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if not depth:
                return text[begin:end]
    return None


@given(st.lists(st.sampled_from([BOX, "{", "}", "x"]), max_size=14).map("".join))
def test_the_last_box_that_closes_counts(text: str) -> None:
    assert last_box(text) == by_definition(text)


def test_boxes_without_end_are_read_at_once() -> None:
    assert last_box(BOX * 40_000) is None
    assert last_box(BOX * 40_000 + "7}") == "7"
