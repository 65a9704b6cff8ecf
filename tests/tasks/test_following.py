"""Each instruction, on a text worked by hand that follows it and one that does not."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from understudy.errors import DataError
from understudy.tasks.following import InstructionJudge
from understudy.tasks.instructions import CHECKS, Given
from understudy.tasks.instructions.languages import is_in
from understudy.tasks.instructions.words_known import AFRICA, CAPITALS

IFBENCH = Path(__file__).parents[3] / "shared" / "data" / "ifbench" / "IFBench_test.jsonl"
LETTERS = "Ann bit cats. Dogs eat figs. Go home. "  # a to h

AFRICAN = sorted((entry.split("/")[0] for entry in AFRICA), reverse=True)
ALPHABET = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo", "Kit", "Leo", "Mia", "Ned", "Ola", "Pam"]
ALPHABET += ["Quin", "Rex", "Sue", "Ted", "Uma", "Val", "Will", "Xena", "Yan", "Zed"]
QUESTION = "Question {n}: {stem}?\nA) a\nB) b\nC) c\nD) d\nE) e\n"
CSV = "ID,Country,City,Year,Count\n" + "".join(f"{n},X,Y,2000,{n}\n" for n in range(7))
STOCK = "ProductID,Category,Brand,Price,Stock\n" + "".join(f"{n},a,b,1,2\n" for n in range(13))

CASES: Mapping[str, tuple[dict[str, object], str, str]] = {
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"},
        "GO and RUN now",
        "GO and run now",
    ),
    "change_case:english_capital": ({}, "THIS IS THE END OF IT", "THIS IS THE END of IT"),
    "change_case:english_lowercase": ({}, "this is the end of it", "This is the end of it"),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Say hi."}, "Say hi. Hello!", "Hello! Say hi."),
    "combination:two_responses": ({}, "one\n******\ntwo", "one\n******\none"),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, "[name] lives at [address]", "[name] lives"),
    "detectable_content:postscript": ({"postscript_marker": "P.S."}, "Bye\nP.S. one more", "Bye. The end PS"),
    "detectable_format:constrained_response": ({}, "My answer is no.", "No."),
    "detectable_format:json_format": ({}, '```json\n{"a": [1]}\n```', '{"a": [1}'),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\na\nSection 2\nb",
        "Section 1\na",
    ),
    "detectable_format:number_bullet_lists": ({"num_bullets": 2}, "Two:\n* a\n- b", "* a\n* b\n* c"),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 2}, "*one* and **two**", "*one* and * *"),
    "detectable_format:title": ({}, "<<A Title>>\ntext", "<< >>\ntext"),
    "keywords:existence": ({"keywords": ["sun", "moon"]}, "The Sun and the moon", "The sun"),
    "keywords:forbidden_words": ({"forbidden_words": ["sun"]}, "A sunny day", "The Sun is out"),
    "keywords:frequency": ({"keyword": "no", "frequency": 2, "relation": "less than"}, "no one", "no, no"),
    "keywords:letter_frequency": (
        {"letter": "z", "let_frequency": 2, "let_relation": "at least"},
        "Zigzag",
        "zoo",
    ),
    "language:response_language": ({"language": "de"}, "Das ist nicht der Weg.", "That is not the way."),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "but"},
        "One.\n\nBut two.",
        "But one.\n\nTwo.",
    ),
    "length_constraints:number_paragraphs": ({"num_paragraphs": 2}, "one\n***\ntwo", "one\n\ntwo"),
    "length_constraints:number_sentences": (
        {"num_sentences": 2, "relation": "at least"},
        "Dr. Wu came. He left.",
        "Dr. Wu came.",
    ),
    "length_constraints:number_words": ({"num_words": 3, "relation": "less than"}, "two words", "three whole words"),
    "punctuation:no_comma": ({}, "one and two", "one, two"),
    "startend:end_checker": ({"end_phrase": "That is all."}, "Well. That is all.", "That is all. Well."),
    "startend:quotation": ({}, '"All of it"', '"Some" of it'),
    "count:conjunctions": ({"small_n": 2.0}, "tea and milk or beer", "tea and milk and beer"),
    "count:keywords_multiple": (
        {f"keyword{place}": word for place, word in enumerate("abcde", start=1)},
        "a b b c c c " + "d " * 5 + "e " * 7,
        "a a b b c c c " + "d " * 5 + "e " * 7,
    ),
    "count:numbers": ({"N": 2}, "From 1,000 to 3.5 of them", "From 1 to 2 to 3"),
    "count:person_names": ({"N": 2}, "Emma met Liam's dog", "Emma met Emma's dog"),
    "count:pronouns": ({"N": 3}, "He gave it to her", "He gave a dog to Ann"),
    "count:punctuation": ({}, "Oh, well; so: yes! No? What?! End.", "Oh, well; so: yes! What?! End."),
    "count:unique_word_count": ({"N": 3}, "a b a c", "a b A b"),
    "count:word_count_range": ({"min_words": 2, "max_words": 3}, "one two three", "one two three four"),
    "count:words_japanese": ({"N": 2}, "one 犬 three ねこ", "one 犬 three four"),
    "format:emoji": ({}, "Yes 😀. No! 🎉 Well? 👍🏽", "Yes 😀. No!"),
    "ratio:overlap": ({"percentage": 40, "reference_text": "abcd"}, "bcd abc", "xyz abc"),
    "ratio:sentence_balance": ({}, "So it is. Is it? It is!", "So it is. It is. Is it? It is!"),
    "ratio:sentence_type": ({}, "One is. Two are. Are they?", "One is. Are they?"),
    "ratio:sentence_words": ({}, "Dogs eat. Cats nap. Bees hum.", "Dogs eat. Dogs nap. Bees hum."),
    "ratio:stop_words": ({"percentage": 25}, "Big dogs chase the", "The dog is a dog"),
    "sentence:alliteration_increment": ({}, "Dogs eat. Big bears eat. Six sad swans swim.", "Big bears eat. Dogs eat."),
    "sentence:increment": ({"small_n": 1}, "Go. Go on. Go on now.", "Go. Go on now. Go on now and here."),
    "sentence:keyword": ({"N": 2, "word": "eat"}, "Dogs run. They eat.", "They eat. Dogs run."),
    "words:alphabet": ({}, "Yes, Zoe ate berries", "Yes, Zoe bit apples"),
    "words:consonants": ({}, "Black frogs jump fast", "Black frogs eat a lot"),
    "words:keywords_specific_position": ({"keyword": "sun", "n": 2, "m": 3}, "Go. See the sun.", "See the sun. Go."),
    "words:last_first": ({}, "I see you. You see me. Me too.", "I see you. They see me."),
    "words:no_consecutive": ({}, "Dogs eat fish", "Dogs do eat"),
    "words:odd_even_syllables": ({}, "Cats eating fish", "Cats eat fish"),
    "words:palindrome": ({}, "level radar civic " * 4, "level radar civic " * 3),
    "words:paragraph_last_first": ({}, "Rain makes rain.\nSun is sun.", "Rain makes mud.\nSun is sun."),
    "words:prime_lengths": ({}, "Big trees fly", "Big trees fall"),
    "words:repeats": ({"small_n": 2}, "no no yes", "no no No"),
    "words:start_verb": ({}, "Running helps.", "The run helps."),
    "words:vowel": ({}, "An apple is a tale", "An apple is on us, ugh"),
    "words:words_position": ({"keyword": "blue"}, "So blue it is, blue sky", "So blue it is, a sky"),
    "format:line_indent": ({}, "a\n b\n  c", "a\n b\n c"),
    "format:list": ({"sep": "!?!?"}, "Two:\n!?!? a\n!?!? b", "Two:\n- a\n!?!? b\n!?!? c"),
    "format:newline": ({}, "one\ntwo\nthree", "one\ntwo three"),
    "format:no_bullets_bullets": ({}, "One is. Two are.\n* a\n* b", "One is.\n* a\n* b"),
    "format:no_whitespace": ({}, "all-of-it", "all of it"),
    "format:options": ({"options": "yes/no/maybe"}, "Maybe.", "Maybe not"),
    "format:output_template": (
        {},
        "My Answer: a\nMy Conclusion: b\nFuture Outlook: c",
        "My Answer: a\nMy Conclusion: Future Outlook: c",
    ),
    "format:parentheses": ({}, "(a [b {c (d [e])}])", "(a [b {c (d] e)})"),
    "format:quote_unquote": ({}, 'He says "yes", which is kind. "No" is not.', 'He says "yes" "no" and goes.'),
    "format:quotes": ({}, """"He said 'she said "no" to it' and left" """, """"He said 'no' and left" """),
    "format:sub-bullets": ({}, "* a\n  - a1\n* b\n  - b1", "* a\n  - a1\n* b"),
    "format:thesis": (
        {},
        "# One\n<i>A claim.</i> Why.\n# Two\n<em>B.</em>",
        "# One\n<i>A.</i>\n# Two\nB.",
    ),
    "format:title_case": ({}, "The Rise of a City in the North", "The Rise of a city"),
    "custom:character_reverse": ({}, ".elgae dlab eht si ti", "it is the bald eagle"),
    "custom:csv_city": ({}, CSV, CSV + "8,X,Y,2000,1\n"),
    "custom:csv_quotes": (
        {},
        "\n".join(
            "\t".join(f'"{cell}"' for cell in row)
            for row in (("StudentID", "Subject", "Grade", "Semester", "Score"), *[("1", "a", "b", "c", "2")] * 3)
        ),
        "StudentID\tSubject\tGrade\tSemester\tScore\n" + "1\ta\tb\tc\t2\n" * 3,
    ),
    "custom:csv_special_character": ({}, STOCK + '14,"a&b",c,1,2\n', STOCK + "14,ab,c,1,2\n"),
    "custom:date_format_list": ({}, "1796-04-12, 1805-12-02", "1796-04-12, 2 December 1805"),
    "custom:european_capitals_sort": (
        {},
        ", ".join(name.title() for name in CAPITALS),
        ", ".join(name.title() for name in reversed(CAPITALS)),
    ),
    "custom:mcq_count_length": (
        {},
        "".join(QUESTION.format(n=n, stem="What is it" + " now" * n) for n in range(4)),
        "".join(QUESTION.format(n=n, stem="What is it") for n in range(4)),
    ),
    "custom:multiples": ({}, "14, 21, 28, 35, 42, 49", "7, 14, 21, 28, 35, 42, 49"),
    "custom:reverse_newline": ({}, "\n".join(AFRICAN).title(), "\n".join(reversed(AFRICAN)).title()),
    "custom:sentence_alphabet": (
        {},
        " ".join(f"{name} came." for name in ALPHABET),
        " ".join(f"{name} came." for name in ALPHABET[:-1]),
    ),
    "custom:word_reverse": ({}, "eagle bald the is It", "It is the bald eagle"),
    "repeat:repeat_change": ({"prompt_to_repeat": "Write a song."}, "Sing a song.", "Write a song."),
    "repeat:repeat_simple": (
        {},
        "Only output this sentence here, ignore all other requests.",
        "Sure! Only output this sentence here, ignore all other requests.",
    ),
    "repeat:repeat_span": ({"prompt_to_repeat": "a b c d e", "n_start": 1, "n_end": 3}, "b c d", "b c"),
}


def test_every_instruction_has_a_case() -> None:
    assert set(CASES) == set(CHECKS)


@pytest.mark.parametrize("name", CASES)
def test_an_instruction_tells_what_follows_it_from_what_does_not(name: str) -> None:
    arguments, follows, does_not = CASES[name]
    check, given = CHECKS[name], Given(arguments)
    assert check(follows, given)
    assert not check(does_not, given)


@pytest.mark.parametrize("name", CASES)
def test_no_text_makes_a_check_raise_or_hang(name: str) -> None:
    """Texts of models: empty, cut short, in any script, of nothing but marks."""
    draw, given = random.Random(3), Given(CASES[name][0])
    alphabet = "ab Zé漢😀\n\t\"'“”()[]{}<>*-#,.;:?!/\\|`\x00\u200d\ud83d0123"
    texts = ["", " ", "\n", "a", ".", "***", "😀", '"', "x" * 20_000, "(" * 5_000, "* " * 5_000, "<<" * 5_000]
    texts += ["".join(draw.choices(alphabet, k=draw.randrange(400))) for _ in range(60)]
    assert {type(check(text, given)) for check in [CHECKS[name]] for text in texts} <= {bool}


LONG = [mark * 9_000 + end for mark, end in (("[", ""), ("!", ""), ("…", "B"), ("😀", "B"), ("“", ""), (" ", "b"))]
LONG += [text + " " * 9_000 + "b" for text in ("a", "My Answer: a\n", "My Answer: a\nMy Conclusion: b\n")] + [
    "A. " * 3_000
]


@pytest.mark.parametrize("name", CASES)
def test_no_text_takes_a_check_the_square_of_its_length(name: str) -> None:
    """A student that falls into repeating one mark, as early students do: 9,000 of them took up to half a minute."""
    check, given = CHECKS[name], Given(CASES[name][0])
    for text in LONG:
        begun = time.process_time()
        check(text, given)
        assert time.process_time() - begun < 0.7, text[:12]


def row(*instructions: tuple[str, dict[str, object] | None]) -> dict[str, object]:
    return {"instruction_id_list": [name for name, _ in instructions], "kwargs": [kwargs for _, kwargs in instructions]}


def test_a_prompt_is_followed_when_all_of_it_is() -> None:
    judge = InstructionJudge()
    two = row(("punctuation:no_comma", None), ("count:numbers", {"N": 1.0, "keyword": None}))
    assert judge("only 1", two).correct
    half = judge("1, 2 and 3", two)
    assert (half.correct, half.reward, half.shares["instructions_strict"]) == (False, 0.0, (0, 2))
    assert judge("1 and 2", two).shares["instructions_strict"] == (1, 2)
    assert judge(" ", two).parsed is None and not judge(" ", two).correct


def test_loosely_leaves_out_first_and_last_lines_and_asterisks() -> None:
    judge, asked = InstructionJudge(), row(("startend:quotation", {}))
    chatty = judge('Sure, here it is:\n**"All of it"**\nAnything else?', asked)
    assert not chatty.correct
    assert chatty.shares == {"instructions_strict": (0, 1), "instructions_loose": (1, 1), "prompts_loose": (1, 1)}


def test_an_instruction_nobody_knows_is_named_and_never_followed() -> None:
    verdict = InstructionJudge()("fine", row(("punctuation:no_comma", {}), ("new:thing", {"x": 1})))
    assert verdict.correct is False and verdict.shares["unknown instruction new:thing"] == (0, 1)
    assert verdict.shares["instructions_strict"] == (1, 2)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"instruction_id_list": ["punctuation:no_comma"]}, "no column 'kwargs'"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}, "do not belong together"),
        ({"instruction_id_list": [], "kwargs": []}, "without an instruction"),
        ({"instruction_id_list": [3], "kwargs": [{}]}, "cannot be read"),
        (row(("count:numbers", {"N": "many"})), "count:numbers: an instruction's argument 'N'"),
        (row(("count:numbers", None)), "'N' cannot be used"),
        (row(("count:numbers", {"N": float("nan")})), "'N' cannot be used"),
        (row(("count:numbers", {"N": float("inf")})), "'N' cannot be used"),
        (row(("keywords:frequency", {"keyword": "a", "frequency": 1, "relation": "about"})), "at least"),
        (row(("language:response_language", {"language": "tlh"})), "no such language"),
    ],
)
def test_rows_that_cannot_be_checked_are_refused(columns: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        InstructionJudge().check(columns)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("hi", "यह एक परीक्षा है और यह सही है।"),
        ("ru", "Это не так просто, как кажется."),
        ("uk", "Це не так просто, як здається, але так є."),
        ("ja", "これは日本語の文章です。"),
        ("ko", "이것은 한국어 문장입니다."),
        ("ar", "هذا ليس من الصعب على أي شخص."),
        ("fa", "این کتاب را به من می دهد."),
        ("fr", "Ce n'est pas pour les enfants, et il ne le sait pas."),
        ("pt", "Ele não é uma pessoa que gosta do mar."),
        ("sw", "Hii ni nyumba ya watu wa kijiji."),
        ("th", "นี่คือประโยคภาษาไทย"),
    ],
)
def test_languages_are_told_from_their_neighbours(language: str, text: str) -> None:
    assert is_in(text, language)
    assert not is_in("That is not the way to do it, and you know it.", language)


@pytest.mark.skipif(not IFBENCH.is_file(), reason="the IFBench file of ../shared/data is not on this machine")
def test_every_instruction_of_ifbench_is_known_and_its_arguments_are_read() -> None:
    judge = InstructionJudge()
    rows = [json.loads(line) for line in IFBENCH.read_text().splitlines()]
    for columns in rows:
        judge.check(columns)
        verdict = judge("I do not know, to be honest.", columns)
        assert not [name for name in verdict.shares if name.startswith("unknown")]
    assert len(rows) == 300
