"""Words, sentences and paragraphs of a text, as far as a program without a grammar can tell."""

from __future__ import annotations

import regex

EMOJI = (
    r"(?:\p{Extended_Pictographic}|\p{Regional_Indicator})[\uFE0F\u200D\p{Emoji_Modifier}\p{Extended_Pictographic}]*"
)
_WORD = regex.compile(r"[\p{L}\p{N}]+(?:['’\-_][\p{L}\p{N}]+)*")
_ABBREVIATION = regex.compile(r"(?:^|[\s(])(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|cf|No|[A-Z])\.$")
# A run of marks is taken whole and tried once: else a text of nothing else takes the square of its length.
_END = regex.compile(r"(?<![.!?…‽。！？])[.!?…‽。！？]++[\"'”’)\]*_]*+(?=\s|$)|\n+")
_LONGEST_ABBREVIATION = 8
_MARK = regex.compile(r"^\s*(?:[-*•+]|\d+[.)]|#+|>)\s+")
_VOWELS = regex.compile(r"[aeiouy]+")


def words(text: str) -> list[str]:
    """The words in order; ``it's`` and ``well-known`` are one each.

    >>> words("It's well-known: 3 of 4!")
    ["It's", 'well-known', '3', 'of', '4']
    """
    return _WORD.findall(text)


def lower_words(text: str) -> list[str]:
    """The same in lower case."""
    return [word.lower() for word in words(text)]


def sentences(text: str) -> list[str]:
    """The sentences, with their closing marks; a line's end closes one as well, list marks are left out.

    >>> sentences("Dr. Wu came. Did he stay? - No!")
    ['Dr. Wu came.', 'Did he stay?', 'No!']
    """
    found, start = [], 0
    for end in _END.finditer(text):
        piece = text[start : end.end()]
        if "\n" not in end.group() and _ABBREVIATION.search(piece[-_LONGEST_ABBREVIATION:]):
            continue
        found.append(piece)
        start = end.end()
    found.append(text[start:])
    clean = (_MARK.sub("", piece).strip() for piece in found)
    return [piece for piece in clean if words(piece)]


def lines(text: str) -> list[str]:
    """The lines that are not blank, their indentation kept."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def paragraphs(text: str) -> list[str]:
    """Blocks between blank lines."""
    return [block.strip() for block in regex.split(r"\n\s*\n", text) if block.strip()]


def kind_of(sentence: str) -> str:
    """``question``, ``exclamation`` or ``statement``, by the closing mark."""
    end = sentence.rstrip("\"'”’)]*_ ")
    return "question" if end.endswith("?") else "exclamation" if end.endswith("!") else "statement"


def syllables(word: str) -> int:
    """About how many: groups of vowels, without a silent e at the end; at least 1.

    >>> [syllables(word) for word in ("cat", "table", "banana", "make", "walked", "wanted")]
    [1, 2, 3, 1, 1, 2]
    """
    plain = regex.sub(r"[^a-z]", "", word.lower())
    count = len(_VOWELS.findall(plain))
    silent = regex.search(r"(?:[^aeioult]ed|[^aeiouls]es|[^aeiouyl]e|[aeiou][lt]e|l[lt]ed)$", plain)
    return max(1, count - bool(silent))


def bare(text: str) -> str:
    """Lower case, without closing marks, quotation marks and white space around it."""
    return text.strip().strip("\"'“”‘’*_ ").rstrip(".!").strip().lower()
