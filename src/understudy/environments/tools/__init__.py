"""Agents that call tools: what may be called, how replies are read, and the episode around it."""

from understudy.environments.tools.conversation import Conversation, Said
from understudy.environments.tools.cutting import cut_middle
from understudy.environments.tools.environment import ToolUse
from understudy.environments.tools.reading import Call, Mistake, Reader, Reading, bare_json, reader_for, tagged_json
from understudy.environments.tools.rules import Rules
from understudy.environments.tools.sandboxed import ComputingBoxes, python_tool, shell_tool
from understudy.environments.tools.tool import Picture, Result, Tool, ToolError, parameters
from understudy.environments.tools.toolbox import Ending, Judgement, Toolbox
from understudy.environments.tools.words import Answer, ChatWords, Words

__all__ = [
    "Answer",
    "Call",
    "ChatWords",
    "ComputingBoxes",
    "Conversation",
    "Ending",
    "Judgement",
    "Mistake",
    "Picture",
    "Reader",
    "Reading",
    "Result",
    "Rules",
    "Said",
    "Tool",
    "ToolError",
    "ToolUse",
    "Toolbox",
    "Words",
    "bare_json",
    "cut_middle",
    "parameters",
    "python_tool",
    "reader_for",
    "shell_tool",
    "tagged_json",
]
