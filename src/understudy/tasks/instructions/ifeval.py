"""The instructions of IFEval (Zhou et al., arXiv:2311.07911)."""

from __future__ import annotations

import json

import regex

from understudy.tasks.instructions.given import Check, Given
from understudy.tasks.instructions.languages import is_in
from understudy.tasks.instructions.text import lines, lower_words, sentences, words

_ANSWERS = ("my answer is yes.", "my answer is no.", "my answer is maybe.")


def _keyword_count(text: str, given: Given) -> bool:
    count = len(regex.findall(regex.escape(given.text("keyword")), text, flags=regex.IGNORECASE))
    return given.holds(count, of="frequency", relation="relation")


def _letter_count(text: str, given: Given) -> bool:
    count = text.lower().count(given.text("letter").lower())
    return given.holds(count, of="let_frequency", relation="let_relation")


def _forbidden(text: str, given: Given) -> bool:
    forbidden = given.texts("forbidden_words")
    return not any(regex.search(rf"\b{regex.escape(word)}\b", text, flags=regex.IGNORECASE) for word in forbidden)


def _paragraph_count(text: str, given: Given) -> bool:
    blocks = [block.strip() for block in regex.split(r"\s?\*\*\*\s?", text)]
    inner = blocks[(not blocks[0]) : len(blocks) - (not blocks[-1])]
    return all(inner) and len(inner) == given.whole("num_paragraphs")


def _nth_paragraph(text: str, given: Given) -> bool:
    blocks = [block for block in regex.split(r"\n\n", text) if block.strip()]
    place, wanted = given.whole("nth_paragraph"), given.text("first_word").lower()
    if len(blocks) != given.whole("num_paragraphs") or not 1 <= place <= len(blocks):
        return False
    return lower_words(blocks[place - 1])[:1] == [wanted]


def _postscript(text: str, given: Given) -> bool:
    letters = regex.sub(r"[^A-Za-z]", "", given.text("postscript_marker")) or "PS"
    marker = r"\.?\s?".join(letters)
    return regex.search(rf"^\s*{marker}\b.*\S", text, flags=regex.IGNORECASE | regex.MULTILINE) is not None


def _bullets(text: str, given: Given) -> bool:
    found = [line for line in lines(text) if regex.match(r"\s*(?:\*(?!\*)|-)\s*\S", line)]
    return len(found) == given.whole("num_bullets")


def _highlights(text: str, given: Given) -> bool:
    found = regex.findall(r"\*\*([^*\n]+)\*\*|\*([^*\n]+)\*", text)
    return sum(bool((twice or once).strip()) for twice, once in found) >= given.whole("num_highlights")


def _sections(text: str, given: Given) -> bool:
    mark = regex.escape(given.text("section_spliter").strip())
    return len(regex.findall(rf"{mark}\s?\d+", text)) >= given.whole("num_sections")


def _is_json(text: str, _: Given) -> bool:
    body = regex.sub(r"^```(?:json)?", "", text.strip(), flags=regex.IGNORECASE).removesuffix("```")
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _two_responses(text: str, _: Given) -> bool:
    parts = [part.strip() for part in text.split("******")]
    inner = parts[(not parts[0]) : len(parts) - (not parts[-1])]
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]


def _ends(text: str, given: Given) -> bool:
    return text.strip().strip('"').lower().endswith(given.text("end_phrase").strip().lower())


def _quotation(text: str, _: Given) -> bool:
    plain = text.strip()
    return len(plain) > 1 and plain[0] == plain[-1] == '"'


def _capital_words(text: str, given: Given) -> bool:
    count = sum(word.isupper() for word in words(text))
    return given.holds(count, of="capital_frequency", relation="capital_relation")


def _sentence_count(text: str, given: Given) -> bool:
    return given.holds(len(sentences(text)), of="num_sentences", relation="relation")


CHECKS: dict[str, Check] = {
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda t, _: t.isupper() and is_in(t, "en"),
    "change_case:english_lowercase": lambda t, _: t.islower() and is_in(t, "en"),
    "combination:repeat_prompt": lambda t, g: t.strip().lower().startswith(g.text("prompt_to_repeat").strip().lower()),
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": lambda t, g: (
        len(regex.findall(r"\[[^\[\]\n]+\]", t)) >= g.whole("num_placeholders")
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": lambda t, _: any(answer in t.lower() for answer in _ANSWERS),
    "detectable_format:json_format": _is_json,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": lambda t, _: any(map(str.strip, regex.findall(r"<<([^<>\n]+)>>", t))),
    "keywords:existence": lambda t, g: all(word.lower() in t.lower() for word in g.texts("keywords")),
    "keywords:forbidden_words": _forbidden,
    "keywords:frequency": _keyword_count,
    "keywords:letter_frequency": _letter_count,
    "language:response_language": lambda t, g: is_in(t, g.text("language")),
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "length_constraints:number_paragraphs": _paragraph_count,
    "length_constraints:number_sentences": _sentence_count,
    "length_constraints:number_words": lambda t, g: g.holds(len(words(t)), of="num_words", relation="relation"),
    "punctuation:no_comma": lambda t, _: "," not in t,
    "startend:end_checker": _ends,
    "startend:quotation": _quotation,
}
