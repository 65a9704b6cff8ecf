"""Instructions about how often something occurs."""

from __future__ import annotations

from collections import Counter

import regex

from understudy.tasks.instructions.given import Check, Given
from understudy.tasks.instructions.text import EMOJI, kind_of, lower_words, sentences, words
from understudy.tasks.instructions.words_known import CONJUNCTIONS, NAMES, PRONOUNS, STOP_WORDS

_JAPANESE = regex.compile(r"[\p{Hiragana}\p{Katakana}\p{Han}ー]")

_AFTER_EMOJI, _END_CHARACTERS = " \t\n.!?…\"'”’)]*_", 64


def _keywords_multiple(text: str, given: Given) -> bool:
    counts = Counter(lower_words(text))
    wanted = {given.text(f"keyword{place}").lower(): times for place, times in enumerate((1, 2, 3, 5, 7), start=1)}
    return all(counts[word] == times for word, times in wanted.items())


def _words_japanese(text: str, given: Given) -> bool:
    every = max(1, given.whole("N"))
    found = text.split()[every - 1 :: every]
    return bool(found) and all(_JAPANESE.search(word) for word in found)


def _punctuation(text: str, _: Given) -> bool:
    interrobang = "?!" in text or "!?" in text or "‽" in text
    rest = text.replace("?!", "").replace("!?", "")
    return interrobang and all(mark in rest for mark in ".,!?;:")


def _word_count(text: str, given: Given) -> bool:
    return given.whole("min_words") <= len(words(text)) <= given.whole("max_words")


def _stop_words(text: str, given: Given) -> bool:
    found = lower_words(text.replace("’", "'"))
    return bool(found) and 100 * sum(word in STOP_WORDS for word in found) <= given.number("percentage") * len(found)


def _overlap(text: str, given: Given) -> bool:
    """Trigrams are of characters; the share is of the response's different trigrams."""
    ours, theirs = _trigrams(text), _trigrams(given.text("reference_text"))
    return bool(ours) and abs(100 * len(ours & theirs) / len(ours) - given.number("percentage")) <= 2


def _trigrams(text: str) -> set[str]:
    return {text[place : place + 3] for place in range(len(text) - 2)}


def _sentence_type(text: str, _: Given) -> bool:
    kinds = Counter(map(kind_of, sentences(text)))
    return kinds["question"] > 0 and kinds["statement"] == 2 * kinds["question"]


def _sentence_balance(text: str, _: Given) -> bool:
    kinds = Counter(map(kind_of, sentences(text)))
    return kinds["statement"] == kinds["question"] == kinds["exclamation"] > 0


def _sentence_words(text: str, _: Given) -> bool:
    found = sentences(text)
    every = [word for sentence in found for word in set(lower_words(sentence))]
    return len(found) == 3 and len({len(sentence) for sentence in found}) == 1 and len(every) == len(set(every))


def _emoji(text: str, _: Given) -> bool:
    inside = regex.sub(rf"(?<![.!?…])([.!?…]++)[ \t]*+({EMOJI})", r" \2\1", text)
    found = sentences(inside)
    ends = [one.rstrip(_AFTER_EMOJI)[-_END_CHARACTERS:] for one in found]
    return bool(found) and all(regex.search(rf"{EMOJI}$", end) for end in ends)


CHECKS: dict[str, Check] = {
    "count:conjunctions": lambda t, g: len(CONJUNCTIONS & set(lower_words(t))) >= g.whole("small_n"),
    "count:keywords_multiple": _keywords_multiple,
    "count:numbers": lambda t, g: len(regex.findall(r"\d+(?:[.,]\d+)*", t)) == g.whole("N"),
    "count:person_names": lambda t, g: len(NAMES & set(lower_words(regex.sub(r"['’]s\b", "", t)))) >= g.whole("N"),
    "count:pronouns": lambda t, g: sum(word in PRONOUNS for word in lower_words(t)) >= g.whole("N"),
    "count:punctuation": _punctuation,
    "count:unique_word_count": lambda t, g: len(set(lower_words(t))) >= g.whole("N"),
    "count:word_count_range": _word_count,
    "count:words_japanese": _words_japanese,
    "format:emoji": _emoji,
    "ratio:overlap": _overlap,
    "ratio:sentence_balance": _sentence_balance,
    "ratio:sentence_type": _sentence_type,
    "ratio:sentence_words": _sentence_words,
    "ratio:stop_words": _stop_words,
}
