"""API keys, which stand in the environment and nowhere else."""

from __future__ import annotations

import os

from understudy.errors import ServerKeyError


def key_in(variable: str | None, *, remedy: str = "Set it.") -> str | None:
    """The key in that environment variable, without the space around it; None where no variable is named.

    Args:
        remedy: of the sentence where there is none.
    Raises:
        ServerKeyError: it is not set, or holds what no header can carry, which is not shown.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ServerKeyError(
            f"the environment variable {variable} holds no API key", expected="a key in plain characters", remedy=remedy
        )
    return key
