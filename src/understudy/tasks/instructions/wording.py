"""Instructions about which words stand where."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import regex

from understudy.tasks.instructions.given import Check, Given
from understudy.tasks.instructions.text import lines, lower_words, sentences, syllables, words
from understudy.tasks.instructions.words_known import VERBS

_CLUSTER = regex.compile(r"[bcdfghjklmnpqrstvwxyz]{2}")
_PRIMES = frozenset(n for n in range(2, 60) if all(n % d for d in range(2, n)))


def _alphabet(text: str, _: Given) -> bool:
    letters = [word[0] for word in lower_words(text)]
    places = [string.ascii_lowercase.find(letter) for letter in letters]
    return bool(places) and -1 not in places and all((a + 1) % 26 == b for a, b in pairwise(places))


def _odd_even(text: str, _: Given) -> bool:
    parities = [syllables(word) % 2 for word in words(text)]
    return bool(parities) and all(a != b for a, b in pairwise(parities))


def _last_first(text: str, _: Given) -> bool:
    found = [lower_words(sentence) for sentence in sentences(text)]
    return len(found) > 1 and all(a[-1] == b[0] for a, b in pairwise(found))


def _paragraph_last_first(text: str, _: Given) -> bool:
    found = [ws for ws in map(lower_words, lines(text)) if ws]
    return bool(found) and all(ws[0] == ws[-1] for ws in found)


def _start_verb(text: str, _: Given) -> bool:
    found = lower_words(text)
    return bool(found) and _is_verb(found[0])


def _is_verb(word: str) -> bool:
    """A common verb, or a regular form of one."""
    stems = [word]
    for ending, *others in (("ies", "y"), ("ing", "", "e"), ("ed", "", "e"), ("es", "", "e"), ("s", "")):
        if word.endswith(ending):
            stems += [word.removesuffix(ending) + other for other in others]
    doubled = [stem[:-1] for stem in stems if len(stem) > 3 and stem[-1] == stem[-2]]
    return any(stem in VERBS for stem in (*stems, *doubled))


def _words_position(text: str, given: Given) -> bool:
    found, keyword = lower_words(text), given.text("keyword").lower()
    return len(found) > 2 and found[1] == keyword == found[-2]


def _specific_position(text: str, given: Given) -> bool:
    return _at(sentences(text), given.whole("n"), given.whole("m")) == given.text("keyword").lower()


def _at(found: Sequence[str], sentence: int, word: int) -> str | None:
    """The word at these places, counted from 1."""
    inside = lower_words(found[sentence - 1]) if 1 <= sentence <= len(found) else []
    return inside[word - 1] if 1 <= word <= len(inside) else None


def _sentence_keyword(text: str, given: Given) -> bool:
    found, place, keyword = sentences(text), given.whole("N"), given.text("word").lower()
    return 1 <= place <= len(found) and keyword in lower_words(found[place - 1])


def _increment(text: str, given: Given) -> bool:
    counts, more = [len(words(sentence)) for sentence in sentences(text)], given.whole("small_n")
    return len(counts) > 1 and all(b - a == more for a, b in pairwise(counts))


def _alliteration(text: str, _: Given) -> bool:
    runs = [_longest_run([word[0] for word in lower_words(sentence)]) for sentence in sentences(text)]
    return len(runs) > 1 and all(a < b for a, b in pairwise(runs))


def _longest_run(letters: Sequence[str]) -> int:
    """Length of the longest run of equal letters; 1 where no two neighbours are equal."""
    longest = run = 1
    for a, b in pairwise(letters):
        run = run + 1 if a == b else 1
        longest = max(longest, run)
    return longest


def _vowels(text: str, _: Given) -> bool:
    return bool(words(text)) and len(set(text.lower()) & set("aeiou")) <= 3 and len(lines(text)) == 1


def _palindromes(text: str, _: Given) -> bool:
    return sum(len(word) >= 5 and word == word[::-1] for word in lower_words(text)) >= 10


def _every(text: str, holds: object) -> bool:
    found = lower_words(text)
    return bool(found) and all(holds(word) for word in found)  # type: ignore[operator]


def _no_consecutive(text: str, _: Given) -> bool:
    letters = [word[0] for word in lower_words(text)]
    return bool(letters) and all(a != b for a, b in pairwise(letters))


CHECKS: dict[str, Check] = {
    "sentence:alliteration_increment": _alliteration,
    "sentence:increment": _increment,
    "sentence:keyword": _sentence_keyword,
    "words:alphabet": _alphabet,
    "words:consonants": lambda t, _: _every(t, _CLUSTER.search),
    "words:keywords_specific_position": _specific_position,
    "words:last_first": _last_first,
    "words:no_consecutive": _no_consecutive,
    "words:odd_even_syllables": _odd_even,
    "words:palindrome": _palindromes,
    "words:paragraph_last_first": _paragraph_last_first,
    "words:prime_lengths": lambda t, _: _every(t, lambda word: len(word) in _PRIMES),
    "words:repeats": lambda t, g: max(Counter(lower_words(t)).values(), default=10**9) <= g.whole("small_n"),
    "words:start_verb": _start_verb,
    "words:vowel": _vowels,
    "words:words_position": _words_position,
}
