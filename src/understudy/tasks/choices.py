"""Reads the letter that a completion chooses."""

from __future__ import annotations

import re

from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks.verdicts import Columns, UnreadableGoldError, Verdict, Verifier, extracted, golds_of, verdict


def choice(config: VerifierConfig, column: str) -> Verifier:
    """A verifier of letters: the last one stated as the answer, else the last that stands in brackets, else alone.

    A gold answer is a letter, bare or in brackets, or the option's number from 0.
    """
    letters = config.letters

    def verify(completion: str, columns: Columns) -> Verdict:
        golds = [_gold_letter(gold, letters, column) for gold in golds_of(columns, column)]
        text = extracted(completion, config.extract, seconds=config.deadline_seconds)
        letter = None if text is None else last_letter(text, letters)
        return verdict(letter, correct=letter in golds)

    return verify


def last_letter(text: str, letters: str) -> str | None:
    r"""The letter that ``text`` chooses, in capitals; None when it states none.

    >>> last_letter("(A) is tempting, but the answer is **C**. A bird would disagree.", "ABCD")
    'C'
    >>> last_letter(r"so \boxed{\text{B}}", "ABCD"), last_letter("b", "ABCD"), last_letter("A bird", "ABCD")
    ('B', 'B', None)
    """
    one = f"[{letters}{letters.lower()}]"
    capital = f"[{letters}]"
    # Blanks are taken whole and never given back: a text of nothing else would take the cube of its length.
    wrapped = r"(?:\\boxed\s*\{|\\text\w*\s*\{|[\s*_`\"'$(\[{])*+"
    says = r"(?i:\banswer\b|\bchoice\b|\boption\b)[*_`]{0,3}+(?:\s++(?i:is|was|would\s+be)\b)?+\s*+[:=]?"
    stated = rf"(?:\\boxed\s*+\{{|{says}){wrapped}"
    # "A" and "I" are words as well.
    no_word = r"(?![\w'’])(?!(?<=[AIai])\s+[a-z])"
    patterns = (
        rf"{stated}({one}){no_word}",
        rf"[(\[]\s*({one})\s*[)\]]",
        rf"(?<![\w.'’])({capital}){no_word}",
    )
    whole = re.fullmatch(rf"\W*({one})\W*", text)
    if whole:
        return whole.group(1).upper()
    for pattern in patterns:
        found = re.findall(pattern, text)
        if found:
            return str(found[-1]).upper()
    return None


def _gold_letter(gold: object, letters: str, column: str) -> str:
    found = re.fullmatch(r"[^\w-]*(\w)\W*", str(gold))
    if found and found.group(1).upper() in letters:
        return found.group(1).upper()
    if found and found.group(1).isdecimal() and int(found.group(1)) < len(letters):
        return letters[int(found.group(1))]
    raise UnreadableGoldError(
        f"column {column!r} holds no choice",
        got=repr(gold)[:80],
        expected=f"one of {', '.join(letters)}, or its number",
    )
