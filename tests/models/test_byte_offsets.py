"""Bytes of tokens, over families of tokenizers that are trained here."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders
from transformers import PreTrainedTokenizerFast

from tests.teachers import families
from understudy.errors import TokenizerMismatchError
from understudy.models.byte_offsets import Speller, read_tiled, tiled
from understudy.models.chat import decode

EXACT = {one.__name__: one for one in families.EXACT}
ALL = {one.__name__: one for one in (*families.EXACT, families.metaspace, families.word_piece, families.characters)}
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*" \n\té日😀", "the ", "  sea", "12*", "</s>", "▁", "<0x41>"]), max_size=12).map("".join),
)


@pytest.mark.parametrize("family", EXACT)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_tokens_that_are_read_tile_the_text_with_their_own_bytes(family: str, text: str) -> None:
    speller = Speller(EXACT[family]())
    read = read_tiled(speller, text)
    if "<" not in text and "▁" not in text:  # names of tokens, and the mark that a space has, read as such
        assert all(read.exact)
    spans = zip(read.starts, read.ends, strict=True)
    for (start, end), piece, exact in zip(spans, read.pieces, read.exact, strict=True):
        assert exact == (piece == text.encode()[start:end])


@pytest.mark.parametrize("family", ALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sampled_tokens_spell_what_the_tokenizer_decodes(family: str, data: st.DataObject) -> None:
    """Ids in any order, as no tokenizer would read a text: the pieces are those of the tokenizer's own decoder."""
    tokenizer = ALL[family]()
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=20))
    speller = Speller(tokenizer)
    ids = [id for id in ids if id not in speller.special_ids]
    laid = tiled(speller, ids)
    text = laid.text.decode()
    if "\ufffd" in text:  # what stands beside bytes that are no text, decoders keep or throw away
        assert not all(laid.exact)
    else:
        assert text == decode(tokenizer, torch.tensor(ids).long())
        assert all(laid.exact)
    assert [0, *laid.ends] == sorted([0, *laid.ends])
    assert (laid.ends[-1] if ids else 0) == len(laid.text)


def test_a_character_of_several_tokens_is_cut_within_its_bytes() -> None:
    tokenizer = families.byte_fallback()
    ids = tokenizer("日a", add_special_tokens=False)["input_ids"]
    laid = tiled(Speller(tokenizer), ids)
    assert [piece for piece in laid.pieces if piece] == [b"\xe6", b"\x97", b"\xa5", b"a"]
    assert laid.ends[-4:] == [1, 2, 3, 4]


def test_bytes_that_are_no_text_are_replaced_and_their_tokens_are_inexact() -> None:
    tokenizer = families.byte_fallback()
    ids = [*tokenizer.convert_tokens_to_ids(["a", "<0xE6>", "<0x97>", "a"])]
    laid = tiled(Speller(tokenizer), ids)
    assert laid.text.decode() == "a\ufffda"
    assert list(laid.ends) == [1, 1, 4, 5]
    assert list(laid.exact) == [True, False, False, True]


def test_the_space_that_opens_a_text_is_dropped_only_there() -> None:
    tokenizer = families.byte_fallback()
    speller = Speller(tokenizer)
    sea = tokenizer.convert_tokens_to_ids("▁s")
    assert speller.spell([sea, sea]) == [b"s", b" s"]
    assert speller.spell([sea], opening=False) == [b" s"]
    assert speller.spell([tokenizer.eos_token_id, sea]) == [None, b"s"]
    space = tokenizer.convert_tokens_to_ids("<0x20>")
    assert speller.spell([space, space]) == [b"", b" "]


def test_word_pieces_are_exact_where_nothing_was_normalised_away() -> None:
    speller = Speller(families.word_piece())
    read = read_tiled(speller, "the Sea sea")
    said = [read.text[a:b].decode() for a, b, c in zip(read.starts, read.ends, read.exact, strict=True) if c]
    assert "the" in "".join(said) and "".join(said).endswith("sea") and "S" not in "".join(said)


def test_refuses_decoders_that_do_not_spell_token_by_token() -> None:
    tokenizer = families.byte_level()
    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.decoder = decoders.CTC()
    with pytest.raises(TokenizerMismatchError, match=r"cannot be aligned.*CTC"):
        Speller(PreTrainedTokenizerFast(tokenizer_object=backend))
