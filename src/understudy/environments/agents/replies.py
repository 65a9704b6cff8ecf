"""From what an agent says to the action it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACTION = re.compile(r"<action>(.*?)</action>", re.DOTALL)
_THINK = re.compile(r"<think>.*?</think>", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """An action as it was meant.

    Args:
        action: for the world; empty where none can be read. well_formed: the reply has the form that was asked for.
    """

    action: str
    well_formed: bool


def tagged(text: str) -> Reply:
    """The first ``<action>...</action>``, lower-cased; well formed with ``<think>...</think>`` beside it.

    >>> tagged("<think>keys open doors</think><action> Open Door 1 </action>")
    Reply(action='open door 1', well_formed=True)
    >>> tagged("<action>look</action>")
    Reply(action='look', well_formed=False)
    """
    found = _ACTION.search(text)
    if found is None:
        return Reply("", well_formed=False)
    action = " ".join(found.group(1).split()).lower()
    return Reply(action, well_formed=bool(action) and _THINK.search(text) is not None)


def plain(text: str) -> Reply:
    """The whole reply is the action: for tiny students without tags.

    >>> plain(" go to  desk 1 ")
    Reply(action='go to desk 1', well_formed=True)
    """
    action = " ".join(text.split())
    return Reply(action, well_formed=bool(action))
