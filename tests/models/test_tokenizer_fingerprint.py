"""The digits by which a client and a server know each other's tokenizer."""

from __future__ import annotations

from tests.conformance.tiny import tiny_tokenizer
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.testbed.tokenizer import build_tokenizer


def test_two_copies_agree_whatever_the_order_of_the_stop_ids() -> None:
    assert tokenizer_fingerprint(tiny_tokenizer(), [1, 0]) == tokenizer_fingerprint(tiny_tokenizer(), {0, 1})


def test_each_part_counts() -> None:
    plain = tokenizer_fingerprint(tiny_tokenizer(), [1])
    more_special = tiny_tokenizer()
    more_special.add_special_tokens({"pad_token": "w3"})
    others = [
        tokenizer_fingerprint(tiny_tokenizer(swapped=True), [1]),
        tokenizer_fingerprint(tiny_tokenizer(), [2]),
        tokenizer_fingerprint(more_special, [1]),
        tokenizer_fingerprint(build_tokenizer(), [1]),
    ]
    assert len({plain, *others}) == 5


def test_tokens_beyond_the_shared_vocabulary_can_be_left_out() -> None:
    longer, size = tiny_tokenizer(), len(tiny_tokenizer())
    longer.add_tokens(["<later>"])
    assert tokenizer_fingerprint(longer, [1]) != tokenizer_fingerprint(tiny_tokenizer(), [1])
    assert tokenizer_fingerprint(longer, [1], size=size) == tokenizer_fingerprint(tiny_tokenizer(), [1])


def test_merges_count() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocab = {"a": 0, "b": 1, "ab": 2, "ba": 3}
    first, second = (
        PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab=vocab, merges=merges)))
        for merges in ([("a", "b"), ("b", "a")], [("b", "a"), ("a", "b")])
    )
    assert tokenizer_fingerprint(first, []) != tokenizer_fingerprint(second, [])
