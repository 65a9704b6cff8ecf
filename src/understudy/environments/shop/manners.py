"""How a shop's agents are spoken to, by their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from understudy.environments.agents import Manner, tagged
from understudy.environments.shop.words import full_words, tiny_reply, tiny_words

Size = Literal["full", "tiny"]
HISTORY = 2
PENALTY = 0.1
"""Of an action that is none, or is not on the page (ATOD, arXiv:2606.27814)."""
MAX_STEPS = 15


def manner(
    size: Size = "full",
    *,
    history: int | None = None,
    cut: Callable[[str], tuple[str, bool]] = lambda text: (text, False),
) -> Manner:
    """The manner of a size: ``full`` for models that read, ``tiny`` for students of some dozens of words.

    Args:
        history: turns that a prompt repeats; None is 2, and 0 for tiny, whose words hold the newest page only.
        cut: shortens observations.
    """
    if size == "tiny":
        return Manner(words=tiny_words, read=tiny_reply, history=0, penalty=PENALTY, cut=cut)
    return Manner(
        words=full_words, read=tagged, history=HISTORY if history is None else history, penalty=PENALTY, cut=cut
    )
