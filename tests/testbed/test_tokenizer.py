"""The tokenizer: one character an id, back to the same text, also after its file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from understudy.testbed.multiplication import Problem, carried_solution, foreign_solution
from understudy.testbed.tokenizer import BOS, CHARACTERS, EOS, PAD, UNKNOWN, build_tokenizer

TOKENIZER = build_tokenizer()


@given(st.text(alphabet=CHARACTERS, max_size=60))
def test_text_comes_back(text: str) -> None:
    ids = TOKENIZER(text)["input_ids"]
    assert len(ids) == len(text) + 1 and ids[0] == TOKENIZER.bos_token_id
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == text


def test_special_tokens_are_four_and_differ() -> None:
    special = [TOKENIZER.convert_tokens_to_ids(token) for token in (PAD, BOS, EOS, UNKNOWN)]
    assert special == [0, 1, 2, 3]
    assert (TOKENIZER.pad_token, TOKENIZER.bos_token, TOKENIZER.eos_token) == (PAD, BOS, EOS)
    assert len(TOKENIZER) == len(CHARACTERS) + 4 == 32
    assert TOKENIZER("a")["input_ids"] == [1, 3]


def test_solutions_have_no_unknown_character() -> None:
    for text in (carried_solution(Problem(98765, 9)), foreign_solution(Problem(102, 2)), Problem(100, 2).prompt):
        assert TOKENIZER.unk_token_id not in TOKENIZER(text)["input_ids"]


def test_auto_tokenizer_reads_what_was_saved(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    text = "4736*8:6*8+0=48;#48"
    assert read(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert read.get_vocab() == TOKENIZER.get_vocab()
    assert read.decode([*read(text)["input_ids"], read.eos_token_id], skip_special_tokens=True) == text
    assert read.eos_token_id == 2 and read.pad_token_id == 0
