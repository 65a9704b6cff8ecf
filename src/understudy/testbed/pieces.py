"""Multiplication in other tokens: byte-level pieces in which a whole step of a solution is four tokens, not nine."""

from __future__ import annotations

from itertools import islice

from tokenizers import Regex, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from understudy.testbed.multiplication import carried_solution, draw_problems
from understudy.testbed.tokenizer import CONTEXT_TOKENS, word_piece_tokenizer

VOCAB_SIZE = 382  # all that there is to merge
TAUGHT_TO_TOKENIZER = 1000
VERSION = 1
"""Raised when the same schooling would give other weights: the tokenizer or what it is taught changed."""

_PARTS = r"=\d+;|\*\d\+|."
"""What is merged at most: a product with its signs, a multiplier with its signs."""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE learned from worked solutions; no token opens a text.

    >>> tokenizer = build_tokenizer()
    >>> tokenizer.tokenize("473*8:3*8+0=24;")
    ['4', '7', '3', '*', '8', ':', '3', '*8+', '0', '=24;']
    """
    taught = islice(draw_problems("train"), TAUGHT_TO_TOKENIZER)
    return word_piece_tokenizer(
        (problem.prompt + carried_solution(problem) for problem in taught),
        vocab_size=VOCAB_SIZE,
        context_tokens=CONTEXT_TOKENS,
        split=[
            pre_tokenizers.Split(Regex(_PARTS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ],
    )


def definition() -> list[object]:
    """What decides tokenizer and lessons."""
    return ["multiplication-pieces", VOCAB_SIZE, TAUGHT_TO_TOKENIZER, _PARTS, VERSION]
