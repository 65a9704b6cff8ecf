"""Tokenizers of the families there are, each trained here on a few sentences in many scripts."""

from __future__ import annotations

from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SENTENCES = [
    "the sea is wide and the ship is small, so we stay near the shore",
    "12*34=408; and 7+8=15, then 408/4 = 102.",
    "déjà vu, naïve façade, über Straße",
    "русский текст и ещё слова слова",
    "日本語の文章と漢字",
    "😀 smile 👩‍🚀 astronaut",
    "spaces   and\nnew lines\tand tabs",
]
SPECIALS = ["<unk>", "<s>", "</s>"]
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def wrapped(tokenizer: Tokenizer, **options: object) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, unk_token="<unk>", eos_token="</s>", **options
    )


@cache
def byte_level(vocab_size: int = 330) -> PreTrainedTokenizerFast:
    """As GPT-2: byte-level BPE, which nothing opens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return wrapped(tokenizer)


@cache
def metaspace() -> PreTrainedTokenizerFast:
    """As T5: Unigram with metaspaces; a byte that nothing covers is unknown. Opens every text with ``<s>``."""
    return _unigram(byte_fallback=False)


@cache
def byte_fallback() -> PreTrainedTokenizerFast:
    """As Llama: Unigram with metaspaces, and bytes for what it has never seen. Opens every text with ``<s>``."""
    return _unigram(byte_fallback=True)


def _unigram(*, byte_fallback: bool) -> PreTrainedTokenizerFast:
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    few = [sentence for sentence in SENTENCES if sentence.isascii()]
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    trained.train_from_iterator([" ".join(few)] * 3, trainer)
    vocabulary = sorted(trained.get_vocab().items(), key=lambda entry: entry[1])
    scored = [(token, -float(id) / 10) for token, id in vocabulary]
    if byte_fallback:
        scored += [(f"<0x{byte:02X}>", -30.0) for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=byte_fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return wrapped(tokenizer, bos_token="<s>")


@cache
def word_piece() -> PreTrainedTokenizerFast:
    """As BERT, uncased: lower case, no accents, words by spaces."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    trainer = trainers.WordPieceTrainer(vocab_size=160, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return wrapped(tokenizer)


@cache
def characters(alphabet: str = "abcdefghijklmnopqrstuvwxyz 0123456789*+=;.,") -> PreTrainedTokenizerFast:
    """One token a character, in an order of its own; others are unknown."""
    vocabulary = {token: id for id, token in enumerate([*SPECIALS, *alphabet])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return wrapped(tokenizer)


EXACT = (byte_level, byte_fallback)
"""Those that spell every text exactly."""
