"""Exact match, as open-domain question answering counts it."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_ANSWER = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """Lower-cased, without punctuation, articles and extra white space.

    >>> normalised("The  Beatles' \\"Abbey Road\\"!")
    'beatles abbey road'

    Source: the evaluation of SQuAD, arXiv:1606.05250.
    """
    return " ".join(_ARTICLE.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(answer: str, golds: Iterable[str]) -> bool:
    """Whether the answer equals one of the golds, both normalised; an answer without a word never does.

    >>> exact_match("the Moon", ["a moon", "luna"]), exact_match("full moon", ["moon"]), exact_match("?", ["!"])
    (True, False, False)
    """
    said = normalised(answer)
    return bool(said) and any(said == normalised(gold) for gold in golds)


def last_answer(transcript: str) -> str | None:
    """What stands in the last ``<answer>...</answer>`` of a whole transcript; None where there is none.

    >>> last_answer("<answer>no</answer> wait <answer> yes </answer>"), last_answer("<answer>no")
    ('yes', None)
    """
    found = _ANSWER.findall(transcript)
    return found[-1].strip() if found else None
