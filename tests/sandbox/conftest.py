"""The means of isolation that work here: every test of the sandbox runs with each."""

from __future__ import annotations

import functools
import shutil

import pytest

from understudy.sandbox import Isolation
from understudy.sandbox.means import failure_of


@functools.cache
def why_not(name: Isolation) -> str | None:
    """Why a means cannot be tried here; None where it can."""
    if name == "bubblewrap" and shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    return failure_of(name)


@pytest.fixture(params=["bubblewrap", "namespaces"])
def by(request) -> Isolation:
    reason = why_not(request.param)
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return request.param
