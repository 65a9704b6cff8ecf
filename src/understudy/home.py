"""Where home folders are: the user's, and the one in which the package keeps what it made for later runs."""

from __future__ import annotations

import os
from pathlib import Path

from understudy.errors import UserMistakeError


def home() -> Path:
    """``UNDERSTUDY_HOME``, by default ``~/.cache/understudy``.

    Raises:
        UserMistakeError: there is neither.
    """
    chosen = os.environ.get("UNDERSTUDY_HOME")
    try:
        return Path(chosen or "~/.cache/understudy").expanduser()
    except RuntimeError as error:
        raise UserMistakeError(
            "there is no folder to keep models and kernels in that are made here",
            got=chosen or "a user without a home folder",
            remedy="Set UNDERSTUDY_HOME to a folder.",
        ) from error


def expanded(name: str | Path) -> Path:
    """A path whose ``~`` or ``~somebody`` is written out.

    Raises:
        UserMistakeError: whose home folder that is, nobody knows.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UserMistakeError(
            f"the home folder in {name} is not known", remedy="Write the path whole, from / on."
        ) from error
