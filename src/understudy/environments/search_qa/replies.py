"""From what a student says to a search or an answer. Source: the protocol of Search-R1, arXiv:2503.09516."""

from __future__ import annotations

import re

from understudy.environments.agents import Reply

_BLOCK = {kind: re.compile(rf"<{kind}>(?:(?!</?{kind}>).)*</{kind}>", re.DOTALL) for kind in ("search", "answer")}
_TINY = re.compile(r"(search|answer)\s+(.+)", re.DOTALL)


def tagged_reply(text: str) -> Reply:
    """The search, or else the answer, as ``search[...]`` or ``answer[...]``; well formed where it is the only one.

    What follows the first closing tag is not read; a search wins over an answer that stands before it. A reply with
    both kinds, with one kind twice, or with neither is not well formed.

    >>> tagged_reply("<think>who?</think><search> Abel Tasman </search>")
    Reply(action='search[Abel Tasman]', well_formed=True)
    >>> tagged_reply("<search>Tasman</search> ... <answer>1642</answer>")
    Reply(action='search[Tasman]', well_formed=False)
    >>> tagged_reply("I do not know.")
    Reply(action='', well_formed=False)
    """
    counts = {kind: len(block.findall(text)) for kind, block in _BLOCK.items()}
    kind = "search" if counts["search"] else "answer"
    if not counts[kind]:
        return Reply("", well_formed=False)
    said = " ".join(_inside(text, kind).split())
    return Reply(f"{kind}[{said}]" if said else "", well_formed=bool(said) and sum(counts.values()) == 1)


def tiny_reply(text: str) -> Reply:
    """``search anna`` or ``answer paris``: for students without tags.

    >>> tiny_reply("search  anna mill")
    Reply(action='search[anna mill]', well_formed=True)
    >>> tiny_reply("answer")
    Reply(action='', well_formed=False)
    """
    found = _TINY.fullmatch(" ".join(text.split()))
    return Reply(f"{found[1]}[{found[2]}]", well_formed=True) if found else Reply("", well_formed=False)


def _inside(text: str, kind: str) -> str:
    """What the first block of the kind holds, from its last opening tag on: thoughts may speak of tags."""
    _, opened, said = text[: text.index(f"</{kind}>")].rpartition(f"<{kind}>")
    return said if opened else ""
