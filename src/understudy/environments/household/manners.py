"""How a household's agents are spoken to, by their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from understudy.environments.agents import Manner, cut_to, tagged
from understudy.environments.agents.agent import Style
from understudy.environments.household.tiny import tiny_growing_words, tiny_reply, tiny_words
from understudy.environments.household.words import full_words, growing_words

Size = Literal["full", "tiny"]
HISTORY = 2
PENALTY = 0.1
"""Of an action that is none, or is not on offer (ATOD, arXiv:2606.27814)."""


def manner(
    size: Size = "full",
    *,
    style: Style | None = None,
    history: int | None = None,
    cut: Callable[[str], tuple[str, bool]] | None = None,
) -> Manner:
    """The manner of a size.

    Args:
        size: ``full`` for models that read, ``tiny`` for students of some dozens of words.
        style: a fresh prompt each turn, or one growing conversation; None: growing for tiny, else fresh.
        history: turns that a fresh prompt repeats, None for 2; a growing one holds them all.
        cut: shortens observations.
    """
    style = style or ("growing" if size == "tiny" else "fresh")
    grows = style == "growing"
    several = {"full": (full_words, growing_words), "tiny": (tiny_words, tiny_growing_words)}
    return Manner(
        words=several[size][grows],
        read=tiny_reply if size == "tiny" else tagged,
        history=0 if grows else HISTORY if history is None else history,
        penalty=PENALTY,
        style=style,
        cut=cut or cut_to(None),
    )
