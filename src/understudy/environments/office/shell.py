"""``code_exec``: shell and Python, in a sandbox without network, with the workspace as the only place to write."""

from __future__ import annotations

from pathlib import Path

from understudy.environments.tools.sandboxed import shell_tool
from understudy.environments.tools.tool import Tool
from understudy.sandbox import Limits


def code_exec(folder: Path, limits: Limits) -> Tool:
    """The tool, for this workspace; office work is done with openpyxl and its like, which Python has there."""
    return shell_tool(folder, limits, name="code_exec", argument="cmd", has_packages=True)
