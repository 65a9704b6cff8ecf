"""The testbed's tokenizers, readable with plain ``AutoTokenizer``: one id a character, or learned word-pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIALS = (PAD, BOS, EOS, UNKNOWN)
CHARACTERS = "0123456789*+=;#:,.-/()<>?! x"
CONTEXT_TOKENS = 128


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The character-level tokenizer of multiplication and what shares its models.

    >>> tokenizer = build_tokenizer()
    >>> tokenizer.decode(tokenizer("12*3:")["input_ids"], skip_special_tokens=True)
    '12*3:'
    """
    return character_tokenizer(CHARACTERS, context_tokens=CONTEXT_TOKENS)


def character_tokenizer(characters: str, *, context_tokens: int) -> PreTrainedTokenizerFast:
    """A character-level tokenizer that opens every text with ``<bos>`` and maps other characters to ``<unk>``."""
    tokenizer = _an_id_each(characters)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return _opening_texts(tokenizer, context_tokens=context_tokens)


def word_tokenizer(words: Iterable[str], *, context_tokens: int) -> PreTrainedTokenizerFast:
    """One id a word between spaces; opens every text with ``<bos>`` and maps other words to ``<unk>``.

    >>> tokenizer = word_tokenizer(["a", "red", "hat"], context_tokens=8)
    >>> tokenizer.decode(tokenizer("red  hat")["input_ids"], skip_special_tokens=True)
    'red hat'
    """
    tokenizer = _an_id_each(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _opening_texts(tokenizer, context_tokens=context_tokens)


def _an_id_each(symbols: Iterable[str]) -> Tokenizer:
    distinct = dict.fromkeys((*SPECIALS, *symbols))
    vocabulary = {symbol: index for index, symbol in enumerate(distinct)}
    return Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))


def _opening_texts(tokenizer: Tokenizer, *, context_tokens: int) -> PreTrainedTokenizerFast:
    """Every text opens with ``<bos>``, and comes back with its spaces as they were."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
        model_max_length=context_tokens,
    )


def word_piece_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int,
    context_tokens: int,
    split: Sequence[pre_tokenizers.PreTokenizer] = (),
) -> PreTrainedTokenizerFast:
    """Byte-level BPE learned from ``texts``: every text comes back, and nothing opens one.

    Args:
        split: parts a text before anything is merged, byte level last; none: digits alone, then words.
    """
    tokenizer = Tokenizer(models.BPE())
    by_digits = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(split) or by_digits)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=context_tokens,
    )
