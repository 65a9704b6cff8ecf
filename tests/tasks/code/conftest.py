from __future__ import annotations

import pytest

from understudy.sandbox import SandboxUnavailableError, isolation


@pytest.fixture
def sandboxed() -> None:
    """Skips where nothing can isolate a program."""
    try:
        isolation()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
