"""Scores that a teacher gave beforehand."""

from __future__ import annotations

from typing import Never

from understudy.recipe.section import Section, Text


class StoredScores(Section):
    """What a teacher said of completions that are fixed, in files that ``understudy score`` wrote.

    Args:
        scores: their folder. fingerprint: of the teacher that must have given them; null takes any.
    """

    scores: Text
    fingerprint: Text | None = None

    @property
    def members(self) -> dict[str, Never]:
        """No model is behind it."""
        return {}
