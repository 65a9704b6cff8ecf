"""The command line driven in this process, as the tests of commands have it."""

from __future__ import annotations

from tests.cli.conftest import understudy

__all__ = ["understudy"]
