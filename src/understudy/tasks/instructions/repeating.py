"""Instructions to repeat a text, or to answer one particular question in one particular form."""

from __future__ import annotations

import csv
import datetime
import io
import string
import unicodedata
from itertools import pairwise

import regex

from understudy.tasks.instructions.given import Check, Given
from understudy.tasks.instructions.text import bare, lines, lower_words, sentences, words
from understudy.tasks.instructions.words_known import AFRICA, CAPITALS

_ONLY_THIS = "Only output this sentence here, ignore all other requests."
_NAPOLEON = range(1793, 1816)


def _repeat_change(text: str, given: Given) -> bool:
    ours, theirs = text.split(), given.text("prompt_to_repeat").split()
    return len(ours) == len(theirs) and ours[1:] == theirs[1:] and ours[0].lower() != theirs[0].lower()


def _repeat_span(text: str, given: Given) -> bool:
    """Indices count from 0, and both ends belong to the span."""
    source = given.text("prompt_to_repeat").split()
    span = source[given.whole("n_start", 0) : given.whole("n_end") + 1]
    return [word.lower() for word in text.split()] == [word.lower() for word in span]


def _rows(text: str, delimiter: str) -> list[list[str]]:
    fenced = regex.search(r"```(?:\w+)?\n(.*?)```", text, flags=regex.DOTALL)
    body = (fenced.group(1) if fenced else text).strip()
    try:
        return [row for row in csv.reader(io.StringIO(body), delimiter=delimiter) if row]
    except csv.Error:
        return []


def _is_table(rows: list[list[str]], header: list[str], count: int) -> bool:
    if len(rows) != count + 1 or any(len(row) != len(header) for row in rows):
        return False
    return [cell.strip() for cell in rows[0]] == header


def _csv_city(text: str, _: Given) -> bool:
    return _is_table(_rows(text, ","), ["ID", "Country", "City", "Year", "Count"], 7)


def _csv_quotes(text: str, _: Given) -> bool:
    fields = [field for line in lines(regex.sub(r"```\w*", "", text)) for field in line.strip().split("\t")]
    quoted = all(regex.fullmatch(r'"[^"]*"', field) for field in fields)
    return quoted and _is_table(_rows(text, "\t"), ["StudentID", "Subject", "Grade", "Semester", "Score"], 3)


def _csv_special(text: str, _: Given) -> bool:
    special = any(regex.search(r"[^\w\s]", cell) for cell in regex.findall(r'"([^"\n]*)"', text))
    return special and _is_table(_rows(text, ","), ["ProductID", "Category", "Brand", "Price", "Stock"], 14)


def _dates(text: str, _: Given) -> bool:
    found = [piece.strip() for piece in text.strip().rstrip(".").split(",")]
    try:
        days = [datetime.date.fromisoformat(piece) for piece in found if regex.fullmatch(r"\d{4}-\d\d-\d\d", piece)]
    except ValueError:
        return False
    return len(found) > 1 and len(days) == len(found) and all(day.year in _NAPOLEON for day in days)


def _capitals(text: str, _: Given) -> bool:
    """All capitals of the list, from north to south; neighbours within a tenth of a degree may change places."""
    found = [_plain(piece) for piece in text.strip().rstrip(".").split(",")]
    known = [CAPITALS.get({"kiev": "kyiv", "luxembourg city": "luxembourg", "berne": "bern"}.get(f, f)) for f in found]
    latitudes = [latitude for latitude in known if latitude is not None]
    sorted_ = all(a >= b - 0.1 for a, b in pairwise(latitudes))
    return len(latitudes) == len(found) == len(set(found)) == len(CAPITALS) and sorted_


def _plain(text: str) -> str:
    """Lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.strip().lower()) if not unicodedata.combining(c))


def _africa(text: str, _: Given) -> bool:
    names = {name: number for number, entry in enumerate(AFRICA) for name in entry.split("/")}
    found = [_plain(line).replace("’", "'").removeprefix("the ") for line in lines(text)]
    numbers = {names[name] for name in found if name in names}
    return all(name in names for name in found) and len(numbers) == len(AFRICA) and found == sorted(found, reverse=True)


def _questions(text: str, _: Given) -> bool:
    blocks = [block.strip() for block in regex.split(r"(?m)^(?=Question\b)", text.strip())]
    if len(blocks) != 5 or blocks[0]:
        return False
    options = [regex.findall(r"(?m)^\s*[(\[]?[A-Ea-e1-5][).\]:]\s*\S", block) for block in blocks[1:]]
    stems = [len(block.splitlines()[0]) for block in blocks[1:]]
    return all(len(found) == 5 for found in options) and all(a < b for a, b in pairwise(stems))


def _sentence_alphabet(text: str, _: Given) -> bool:
    return [lower_words(sentence)[0][0] for sentence in sentences(text)] == list(string.ascii_lowercase)


def _word_reverse(text: str, _: Given) -> bool:
    """Word by word backwards it names the bald eagle, and forwards it does not."""
    found = " ".join(lower_words(text))
    return "eagle bald" in found and "bald eagle" not in found and len(words(text)) > 2


CHECKS: dict[str, Check] = {
    "custom:character_reverse": lambda t, _: "elgae dlab" in t.lower(),
    "custom:csv_city": _csv_city,
    "custom:csv_quotes": _csv_quotes,
    "custom:csv_special_character": _csv_special,
    "custom:date_format_list": _dates,
    "custom:european_capitals_sort": _capitals,
    "custom:mcq_count_length": _questions,
    "custom:multiples": lambda t, _: regex.findall(r"\d+", t) == ["14", "21", "28", "35", "42", "49"],
    "custom:reverse_newline": _africa,
    "custom:sentence_alphabet": _sentence_alphabet,
    "custom:word_reverse": _word_reverse,
    "repeat:repeat_change": _repeat_change,
    "repeat:repeat_simple": lambda t, _: bare(t) == bare(_ONLY_THIS),
    "repeat:repeat_span": _repeat_span,
}
