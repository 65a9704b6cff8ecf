"""Where these tests find the real engine: in this Python, or in the one that ``ALFWORLD_PYTHON`` names."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import pytest

PYTHON = os.environ.get("ALFWORLD_PYTHON") or (sys.executable if find_spec("alfworld") else None)
needs_engine = pytest.mark.skipif(
    PYTHON is None, reason="alfworld is not installed, and ALFWORLD_PYTHON names no Python"
)
