"""How those who answer questions are spoken to, by their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from understudy.environments.agents import Manner
from understudy.environments.search_qa.replies import tagged_reply, tiny_reply
from understudy.environments.search_qa.words import full_words, tiny_words

Size = Literal["full", "tiny"]
HISTORY = 4
PENALTY = 0.01
"""Of a reply that is not valid (ATOD, arXiv:2606.27814)."""
MAX_STEPS = 4


def manner(
    size: Size = "full",
    *,
    history: int | None = None,
    cut: Callable[[str], tuple[str, bool]] = lambda text: (text, False),
) -> Manner:
    """The manner of a size: ``full`` for models that read, ``tiny`` for students of some dozens of words.

    Args:
        history: turns that a prompt repeats; None is 4, and 0 for tiny, whose words hold the newest result only.
        cut: shortens what a search brought.
    """
    if size == "tiny":
        return Manner(words=tiny_words, read=tiny_reply, history=0, penalty=PENALTY, cut=cut)
    return Manner(
        words=full_words, read=tagged_reply, history=HISTORY if history is None else history, penalty=PENALTY, cut=cut
    )
