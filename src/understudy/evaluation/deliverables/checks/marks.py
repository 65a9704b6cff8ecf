"""Words and figures that give work away: placeholders, dates, places to sign.

The texts are strangers': every pattern takes time in proportion to their length.
"""

from __future__ import annotations

import re

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_BLANK = (
    r"your|insert|enter|add|fill|name|date|company|client|customer|title|address|amount|phone|email|e-mail|number|position"
    r"|department|city|recipient|placeholder|description|details|signature"
)
PLACEHOLDER = re.compile(
    r"\bTODO\b|\bTB[DAC]\b|\bFIXME\b|\bX{3,}\b"  # capitals only: "todo" is a word in other languages
    r"|(?i:\blorem ipsum\b|\bplaceholder\b|\{\{[^}\n]{1,60}\}\}"
    rf"|[\[<]\s{{0,5}}(?:{_BLANK})\b[^\]>\n]{{0,60}}[\]>](?!\()"
    r"|\bto be (?:determined|decided|completed|filled in|added)\b|\binsert [a-z ]{1,30} here\b)"
)
"""Text that was meant to be replaced. ``[Name](address)`` is a link and none."""

DATE = re.compile(
    rf"\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}[./]\d{{1,2}}[./](?:\d{{4}}|\d\d)\b"
    rf"|(?i:\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}\b|\b\d{{1,2}}(?:st|nd|rd|th)?\.?\s+{_MONTH},?\s+\d{{4}}\b)"
)
"""A day of a year, in figures or with the month's English name."""

SIGNATURE = re.compile(
    r"(?i:\b(?:signature|signed(?: by)?|approved by|authori[sz]ed by|prepared by|sign here)\b"
    r"\s{0,20}(?:\([^)\n]{0,60}\)\s{0,20})?(?::|_{3,})"
    r"|(?<!_)_{5,}+[ \t]{0,20}(?:\n|$)"
    r"|^[ \t]{0,20}(?:yours\s)?(?:sincerely|faithfully|truly|(?:kind|best|warm) regards)[ \t]{0,20},?[ \t]{0,20}$)",
    re.MULTILINE,
)
"""A place to sign, or a letter's closing line."""

READS_CELLS = re.compile(r"\$?\b[A-Za-z]{1,3}\$?\d+\b(?!\()|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}|(?<![#\w])[A-Za-z_]\w*!")
"""Of a formula: that it depends on something, so that it is live and no number in disguise."""
