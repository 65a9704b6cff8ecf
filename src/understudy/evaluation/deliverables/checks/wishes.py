"""What a task asks for that can be looked for without judgement."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HIGHLIGHTS = re.compile(
    r"(?i)\bhighlight(?:s|ed|ing)?\b|\bcolou?r[- ]cod|\bshade[ds]?\b|\bmark(?:ed)? in (?:yellow|red|green)\b"
)
_NO_HIGHLIGHTS = re.compile(
    r"(?i)\bhighlights? (?:of|from)\b|\bhighlight (?:how|why|that|the (?:importance|need|role))\b"
)
_DATE = re.compile(
    r"(?i)\b(?:add|include|put|insert|with|state|show|give|write)\b[^.\n]{0,40}\b(?:the|a|today's|current) date\b"
    r"|\bdated?\b[^.\n]{0,20}\b(?:today|letter|memo)\b"
)
_SIGNATURE = re.compile(
    r"(?i)\bsignature (?:block|line|field|page|section)s?\b|\bplaces? (?:to|for) sign|\bsign[- ]off (?:block|section)\b"
)


@dataclass(frozen=True)
class Wishes:
    """What was asked for.

    Args:
        highlights: cells or words to be marked. date: a date in the work. signature: a place to sign.
    """

    highlights: bool = False
    date: bool = False
    signature: bool = False


def wishes_in(prompt: str) -> Wishes:
    """What a task's words ask for, by plain patterns over English: what they miss is not looked for.

    >>> wishes_in("Highlight overdue rows, and add the current date and a signature block.")
    Wishes(highlights=True, date=True, signature=True)
    >>> wishes_in("Summarise the highlights of the meeting.")
    Wishes(highlights=False, date=False, signature=False)
    """
    marks = _NO_HIGHLIGHTS.sub("", prompt)
    return Wishes(bool(_HIGHLIGHTS.search(marks)), bool(_DATE.search(prompt)), bool(_SIGNATURE.search(prompt)))
