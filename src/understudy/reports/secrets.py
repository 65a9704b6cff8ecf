"""Keys and tokens taken out of what leaves the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

REMOVED = "(removed)"
_NAMED_SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_SHAPED_SECRET = re.compile(r"\b(?:hf_|sk-|ghp_|github_pat_)[\w-]{16,}")
_LOGIN = re.compile(r"(?<=://)[^\s/@]+(?=@)")
_SHORTEST = 8
"""Shorter values of the environment are no secrets, and would be found in any text."""


def without_secrets(text: str) -> str:
    """The text without values of environment variables whose names end in KEY, TOKEN, SECRET, PASSWORD or CREDENTIALS,
    without what has the shape of a token, and without logins in addresses.

    >>> without_secrets("https://me:word@host/data?token=hf_" + 20 * "a")
    'https://(removed)@host/data?token=(removed)'
    """
    for value in _known():
        text = text.replace(value, REMOVED)
    return _LOGIN.sub(REMOVED, _SHAPED_SECRET.sub(REMOVED, text))


def publishable(text: str) -> str:
    """As ``without_secrets``, the user's home folder written ``~`` as well."""
    try:
        home = str(Path.home())
    except RuntimeError:  # a user without one
        home = "/"
    return without_secrets(text if home == "/" else text.replace(f"{home}/", "~/"))


def values_without_secrets(value: object) -> object:
    """Plain data, every text in it without secrets."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: values_without_secrets(each) for key, each in value.items()}
    return [values_without_secrets(each) for each in value] if isinstance(value, list | tuple) else value


def _known() -> list[str]:
    """The longest first, so that none is left half where one begins with another."""
    values = {value for name, value in os.environ.items() if _NAMED_SECRET.search(name) and len(value) >= _SHORTEST}
    return sorted(values, key=len, reverse=True)
