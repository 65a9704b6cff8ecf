"""Whether a text is in a language: by its script, and where several share one, by their commonest words and letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import regex

from understudy.errors import DataError
from understudy.tasks.instructions.text import lower_words

_SCRIPTS: Mapping[str, str] = {
    "Arabic": "ar fa ur",
    "Bengali": "bn",
    "Cyrillic": "bg ru uk",
    "Devanagari": "hi mr ne",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Hangul": "ko",
    "Han": "zh zh-cn zh-tw",
    "Hebrew": "he",
    "Hiragana": "ja",
    "Kannada": "kn",
    "Latin": "de en es fi fr it nl pl pt sv sw tr vi",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
}
"""Languages by the script that none but they are written in."""

_WORDS: Mapping[str, str] = {
    "de": "der die das und ist nicht ein eine zu mit den von auf für im dem sich auch es ich sie wir",
    "en": "the of and to in is that it for was with as on be at by this are from or an you we",
    "es": "el la de que y en los se del las un por con una su para es al lo como más pero",
    "fi": "ja on ei se että hän oli ovat mutta kun joka myös niin kuin tämä ole sen minä voi mitä",
    "fr": "le la les de des et est un une que dans pour qui sur pas au avec du ne se ce il",
    "it": "il la di che e un una per non è sono con del della le gli nel alla più come anche",
    "nl": "de het een en van is dat niet op te zijn met voor er aan ook maar door wordt",
    "pl": "i w na nie się z jest do to że jak o co ale po tak przez dla od są",
    "pt": "o a os as de que e do da em um uma para com não no na por mais se dos é",
    "sv": "och att det som är en på för med av den till inte har ett om jag de",
    "sw": "na ya wa kwa ni za katika kuwa la hii cha watu au kama yake pia huu lakini hiyo kila",
    "tr": "ve bir bu için ile da de çok olarak daha ne gibi en var olan kadar ama",
    "vi": "và của là có một cho không các được trong với người này những đã khi để như đó từ",
    "ar": "في من على إلى أن هذا التي هو عن مع كان هذه الذي لا ما",
    "fa": "و در به از که این را با است برای آن یک می های خود تا",
    "ur": "کے میں کی ہے اور سے کا کو اس نے پر ہیں کہ یہ ہو",
    "hi": "के में है की और से को का यह हैं पर कि एक नहीं भी",
    "mr": "आहे आणि या हे च्या ला की मध्ये आहेत एक तो ते नाही करण्यासाठी होते",
    "ne": "छ र को मा हो यो का लागि पनि छन् भएको गर्न एक हुन्छ तर",
    "bg": "и на да се от за в е с не че това са по как до",
    "ru": "и в не на что с он как это по из но за так его к она был",
    "uk": "і в не на що з та це до як у за про він але є для",
}


def is_in(text: str, language: str) -> bool:
    """Whether most of the text is in the language, by its ISO 639-1 code.

    Texts without letters are in no language. Languages that share a script are told apart by the share of their
    commonest words, so a text of a few words may be taken for its neighbour's.

    >>> is_in("Das ist nicht der Weg, den wir gehen.", "de"), is_in("That is not the way we go.", "de")
    (True, False)

    Raises:
        DataError: a language that is not known here.
    """
    code = language.strip().lower()
    script = next((name for name, codes in _SCRIPTS.items() if code in codes.split()), None)
    if script is None:
        raise DataError("no such language is known", got=language, expected=" ".join(sorted(_WORDS)))
    if _script_of(text) != script:
        return False
    rivals = [other for other in _SCRIPTS[script].split() if other in _WORDS]
    if code not in rivals:
        return True
    counts = Counter(lower_words(text))
    scores = {other: sum(counts[word] for word in set(_WORDS[other].split())) for other in rivals}
    return scores[code] > 0 and scores[code] == max(scores.values())


def _script_of(text: str) -> str | None:
    """The script of most letters; kana make Japanese of a text with Han."""
    counts = {name: len(regex.findall(rf"\p{{Script={name}}}", text)) for name in _SCRIPTS}
    if counts["Hiragana"] and counts["Hiragana"] * 10 > counts["Han"]:
        counts["Hiragana"] += counts["Han"]
        counts["Han"] = 0
    script = max(counts, key=lambda name: counts[name])
    return script if counts[script] else None
