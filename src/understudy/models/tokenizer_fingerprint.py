"""A few digits that two processes compare to know that they mean the same tokens by the same ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase


def tokenizer_fingerprint(
    tokenizer: PreTrainedTokenizerBase, stop_ids: Iterable[int], *, size: int | None = None
) -> str:
    """16 hex digits over every token with its id, the merges where there are any, the special ids and the EOS set.

    Args:
        stop_ids: every id that ends a completion of the model. size: of the vocabulary; ids from it on are left out,
            as they are where two models share fewer tokens than one of them has. None takes all.
    """
    vocabulary = tokenizer.get_vocab()
    limit = max(vocabulary.values(), default=0) + 1 if size is None else size
    content = {
        "tokens": sorted((token, id) for token, id in vocabulary.items() if id < limit),
        "merges": merges_of(tokenizer),
        "special": sorted(id for id in _special_ids(tokenizer) if id < limit),
        "stop": sorted(id for id in set(stop_ids) if id < limit),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    added = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | set(tokenizer.all_special_ids)


def merges_of(tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """In their order, each as its two parts, whichever way this release of ``tokenizers`` writes them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return []
    merges = json.loads(backend.to_str())["model"].get("merges") or []
    return [merge.split(" ") if isinstance(merge, str) else list(merge) for merge in merges]
