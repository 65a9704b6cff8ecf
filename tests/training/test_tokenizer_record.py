"""A run's ids can be read from its first step on."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from understudy.reports.token_text import decoder_of
from understudy.testbed.tokenizer import build_tokenizer
from understudy.training.tokenizer_record import keep_tokenizer


def test_a_run_without_a_checkpoint_is_read_by_the_tokenizer_it_began_with(tmp_path: Path) -> None:
    assert decoder_of(tmp_path) is None
    tokenizer = build_tokenizer()
    keep_tokenizer(tmp_path, tokenizer)
    decode = decoder_of(tmp_path)
    assert decode is not None and decode(tokenizer.encode("12*3:", add_special_tokens=False)) == "12*3:"


def test_the_tokenizer_of_the_first_session_stays(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    keep_tokenizer(tmp_path, build_tokenizer())
    assert (tmp_path / "tokenizer.json").read_text() == "{}"


def test_a_tokenizer_without_a_file_of_its_own_is_passed_over(tmp_path: Path) -> None:
    keep_tokenizer(tmp_path, PreTrainedTokenizerBase())
    assert not list(tmp_path.iterdir())
