"""Architectures of models by name, for those that are not on disk: the figures of their published config.json."""

from __future__ import annotations

import re

from understudy.scaling.architecture import Architecture, architecture_from

_FIELDS = (
    "hidden_size",
    "num_hidden_layers",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "tie_word_embeddings",
)
# One line a model: the fields above in order, then experts chosen, experts, and the width of one.
_MODELS: dict[str, tuple[int, ...]] = {
    "Qwen3-0.6B": (1024, 28, 3072, 16, 8, 128, 151936, 1),
    "Qwen3-1.7B": (2048, 28, 6144, 16, 8, 128, 151936, 1),
    "Qwen3-4B": (2560, 36, 9728, 32, 8, 128, 151936, 1),
    "Qwen3-8B": (4096, 36, 12288, 32, 8, 128, 151936, 0),
    "Qwen3-14B": (5120, 40, 17408, 40, 8, 128, 151936, 0),
    "Qwen3-32B": (5120, 64, 25600, 64, 8, 128, 151936, 0),
    "Qwen3-30B-A3B": (2048, 48, 6144, 32, 4, 128, 151936, 0, 8, 128, 768),
    "Qwen3-235B-A22B": (4096, 94, 12288, 64, 4, 128, 151936, 0, 8, 128, 1536),
    "Qwen2.5-0.5B": (896, 24, 4864, 14, 2, 64, 151936, 1),
    "Qwen2.5-1.5B": (1536, 28, 8960, 12, 2, 128, 151936, 1),
    "Qwen2.5-3B": (2048, 36, 11008, 16, 2, 128, 151936, 1),
    "Qwen2.5-7B": (3584, 28, 18944, 28, 4, 128, 152064, 0),
    "Qwen2.5-14B": (5120, 48, 13824, 40, 8, 128, 152064, 0),
    "Qwen2.5-32B": (5120, 64, 27648, 40, 8, 128, 152064, 0),
    "Qwen2.5-72B": (8192, 80, 29568, 64, 8, 128, 152064, 0),
    "Llama-3.2-1B": (2048, 16, 8192, 32, 8, 64, 128256, 1),
    "Llama-3.2-3B": (3072, 28, 8192, 24, 8, 128, 128256, 1),
    "Llama-3.1-8B": (4096, 32, 14336, 32, 8, 128, 128256, 0),
    "Llama-3.1-70B": (8192, 80, 28672, 64, 8, 128, 128256, 0),
}
# Other names of the same sizes: the models that these were trained from.
_SAME = {
    "DeepSeek-R1-Distill-Qwen-1.5B": "Qwen2.5-1.5B",
    "OpenThinker3-7B": "Qwen2.5-7B",
    "Skywork-OR1-7B": "Qwen2.5-7B",
    "Skywork-OR1-Math-7B": "Qwen2.5-7B",
}


def known_architecture(name: str) -> Architecture | None:
    """The architecture of a model with this name, or whose name goes on after that of a known one; None otherwise.

    >>> known_architecture("Qwen/Qwen3-8B").num_layers
    36
    """
    short = name.rpartition("/")[2]
    found = _SAME.get(short) or next(
        (one for one in sorted(_MODELS, key=len, reverse=True) if _goes_on(short, one)), ""
    )
    if found not in _MODELS:
        return None
    figures = _MODELS[found]
    config: dict[str, object] = dict(zip(_FIELDS, figures, strict=False))
    if len(figures) > len(_FIELDS):
        chosen, experts, expert = figures[len(_FIELDS) :]
        config |= {"num_experts_per_tok": chosen, "num_experts": experts, "moe_intermediate_size": expert}
    return architecture_from(config, name=name, source=f"the table of sizes, as {found}")


def _goes_on(name: str, known: str) -> bool:
    """Whether ``name`` is ``known``, perhaps with a suffix of its own; Qwen3-4B is no beginning of Qwen3-4B5."""
    return re.match(re.escape(known) + r"(?![\w.])(?!-A\d)", name) is not None
