"""Instructions about the form of a text: lists, brackets, quotations, templates."""

from __future__ import annotations

from itertools import pairwise

import regex

from understudy.tasks.instructions.given import Check, Given
from understudy.tasks.instructions.text import bare, lines, sentences, words
from understudy.tasks.instructions.words_known import SMALL_WORDS

_CLOSING = {")": "(", "]": "[", "}": "{"}
_HEADING = regex.compile(r"^\s*(?:#{1,6}\s|\*\*[^*]+\*\*\s*$|<h[1-6]\b)")
_THESIS = regex.compile(r"^\s*<(i|em)>\s*\S.*?</\1>", regex.DOTALL)
_QUOTED = regex.compile(r"\"[^\"\n]+\"|“[^“”\n]+”")
_TEMPLATE = ("My Answer:", "My Conclusion:", "Future Outlook:")


def _indents(text: str, _: Given) -> bool:
    widths = [len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip()) for line in lines(text)]
    return len(widths) > 1 and all(a < b for a, b in pairwise(widths))


def _list(text: str, given: Given) -> bool:
    sep = given.text("sep")
    starts = [line.strip() for line in lines(text)]
    others = regex.compile(r"(?:[*•+-]|\d+[.)])\s")
    wrong = [line for line in starts if not line.startswith(sep) and others.match(line)]
    return sum(line.startswith(sep) and len(line) > len(sep) for line in starts) > 1 and not wrong


def _sub_bullets(text: str, _: Given) -> bool:
    counts: list[int] = []
    for line in lines(text):
        mark = line.strip()[:2]
        if mark == "* ":
            counts.append(0)
        elif mark == "- ":
            if not counts:
                return False
            counts[-1] += 1
    return bool(counts) and min(counts) > 0


def _no_bullets_bullets(text: str, _: Given) -> bool:
    rows = lines(text)
    first = next((place for place, line in enumerate(rows) if line.strip().startswith("* ")), len(rows))
    before = sentences("\n".join(rows[:first]))
    bullets = sum(line.strip().startswith("* ") for line in rows[first:])
    return sum(one.rstrip("\"'”’)").endswith(".") for one in before) >= 2 and bullets >= 2


def _parentheses(text: str, _: Given) -> bool:
    """The deepest place inside brackets that are all closed in their order."""
    open_: list[str] = []
    deepest = 0
    for character in text:
        if character in "([{":
            open_.append(character)
        elif character in _CLOSING:
            if not open_ or open_[-1] != _CLOSING[character]:
                open_.clear()
                continue
            deepest = max(deepest, len(open_))
            open_.pop()
    return deepest >= 5


def _quotes(text: str, _: Given) -> bool:
    """Straight or curved quotation marks; a mark inside a word is an apostrophe."""
    plain = text.translate(str.maketrans("“”‘’", "\"\"''"))
    marks = [mark.group() for mark in regex.finditer(r"\"|(?<!\w)'|'(?!\w)", plain)]
    open_: list[str] = []
    deepest = 0
    for mark in marks:
        if open_ and open_[-1] == mark:
            deepest = max(deepest, len(open_))
            open_.pop()
        else:
            open_.append(mark)
    return deepest >= 3


def _quote_unquote(text: str, _: Given) -> bool:
    """After each quotation, before the next one, stand words of one's own."""
    found = list(_QUOTED.finditer(text))
    ends = [quoted.start() for quoted in found[1:]] + [len(text)]
    return bool(found) and all(words(text[quoted.end() : end]) for quoted, end in zip(found, ends, strict=True))


def _thesis(text: str, _: Given) -> bool:
    sections: list[list[str]] = [[]]
    for line in lines(text):
        if _HEADING.match(line):
            sections.append([])
        else:
            sections[-1].append(line)
    bodies = ["\n".join(section) for section in sections if section]
    return bool(bodies) and all(_THESIS.match(body) for body in bodies)


def _title_case(text: str, _: Given) -> bool:
    found = words(text)
    first = {words(sentence)[0] for sentence in sentences(text)}
    wrong = [word for word in found if word[0].islower() and (word not in SMALL_WORDS or word in first)]
    shouted = [word for word in found if len(word) > 4 and word.isupper()]
    return bool(found) and not wrong and len(shouted) < len(found)


def _output_template(text: str, _: Given) -> bool:
    """The three heads in their order, the first at the beginning, and something after each."""
    rest = text.strip()
    if not rest.startswith(_TEMPLATE[0]):
        return False
    parts = []
    for head in _TEMPLATE:
        before, found, rest = rest.partition(head)
        if not found:
            return False
        parts.append(before.strip())
    return all([*parts[1:], rest.strip()])


def _options(text: str, given: Given) -> bool:
    options = regex.split(r"/|,\s+|\s+or\s+", given.text("options"))
    return bare(text) in {bare(option) for option in options} | {bare(option.rstrip(")")) for option in options}


CHECKS: dict[str, Check] = {
    "format:line_indent": _indents,
    "format:list": _list,
    "format:newline": lambda t, _: len(lines(t)) > 1 and all(len(line.split()) == 1 for line in lines(t)),
    "format:no_bullets_bullets": _no_bullets_bullets,
    "format:no_whitespace": lambda t, _: bool(t) and not regex.search(r"\s", t),
    "format:options": _options,
    "format:output_template": _output_template,
    "format:parentheses": _parentheses,
    "format:quote_unquote": _quote_unquote,
    "format:quotes": _quotes,
    "format:sub-bullets": _sub_bullets,
    "format:thesis": _thesis,
    "format:title_case": _title_case,
}
