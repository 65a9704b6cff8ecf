"""Tokens that a recipe names by their text."""

from __future__ import annotations

import pytest

from understudy.errors import RecipeError
from understudy.models.tokenizers import token_id
from understudy.objectives.methods.local_support import LocalSupport
from understudy.testbed.tokenizer import EOS, build_tokenizer


def test_a_text_that_is_one_token_becomes_its_id() -> None:
    tokenizer = build_tokenizer()
    assert token_id(tokenizer, "#") == tokenizer.get_vocab()["#"]
    assert token_id(tokenizer, EOS) == tokenizer.eos_token_id
    config = LocalSupport(special_tokens=(5, EOS))
    resolved = config.with_token_ids(lambda text: token_id(tokenizer, text))
    assert resolved.special_tokens == (5, tokenizer.eos_token_id)


@pytest.mark.parametrize("text", ["", "12", "\u2603"])
def test_any_other_text_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(RecipeError, match=r"not one token of the student's tokenizer.*Write its id instead"):
        token_id(build_tokenizer(), text)
