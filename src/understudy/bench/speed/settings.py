"""The ways to run each side. TRL's Python reads this file too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from understudy.errors import UserMistakeError

METHODS: Mapping[str, Mapping[str, Any]] = {
    "opd": {"method": "opd"},
    "gkd": {"method": "gkd", "beta": 1.0, "lmbda": 1.0},
    "golden": {"method": "gkd", "beta": 1.0, "lmbda": 0.0},
}
"""Ours; ``golden`` learns from the data's completions, so that nothing is sampled."""
OUR_SETTINGS = tuple(f"{method}-{precision}" for method in ("opd", "gkd") for precision in ("float32", "bfloat16"))
"""``bfloat16``: bf16 teacher, bf16 products in the student's layers; weights, head, loss and AdamW stay float32."""


@dataclass(frozen=True)
class PeerSetting:
    """One way to run TRL.

    Args:
        trainer: ``DistillationTrainer`` (chunked loss on hidden states) or ``GKDTrainer`` (full logits).
        weights: dtype of both models' weights, and so of the optimiser. autocast: ``bf16=True``.
        checkpointing: TRL's default; without it generation has its cache back in GKD.
        attention: of both models.
    """

    trainer: Literal["distillation", "gkd"]
    weights: Literal["float32", "bfloat16"] = "float32"
    autocast: bool = False
    checkpointing: bool = False
    attention: Literal["sdpa", "eager"] = "sdpa"


PEER_SETTINGS = {
    "distillation-default": PeerSetting("distillation", autocast=True, checkpointing=True),
    "distillation-float32": PeerSetting("distillation"),
    "distillation-autocast": PeerSetting("distillation", autocast=True),
    "distillation-bfloat16": PeerSetting("distillation", weights="bfloat16"),
    "gkd-float32": PeerSetting("gkd"),
    "gkd-autocast": PeerSetting("gkd", autocast=True),
    "gkd-bfloat16": PeerSetting("gkd", weights="bfloat16"),
    "gkd-bfloat16-eager": PeerSetting("gkd", weights="bfloat16", attention="eager"),
}
"""Of TRL: its defaults, and what may make it faster."""
PEER_DEFAULT = "distillation-default"
MEMORY_PEERS = (
    "distillation-default",
    "distillation-float32",
    "distillation-bfloat16",
    "gkd-float32",
    "gkd-bfloat16",
)
"""Of TRL's: the speed of the others differs, not their memory."""


def settings_named(text: str, known: Sequence[str], *, option: str) -> tuple[str, ...]:
    """Names of settings with commas between them.

    >>> settings_named("opd-float32", OUR_SETTINGS, option="--settings")
    ('opd-float32',)

    Raises:
        UserMistakeError: one of them is unknown, or there is none.
    """
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if not names:
        raise UserMistakeError(f"{option} names nothing", got=repr(text), expected=f"some of {', '.join(known)}")
    for name in names:
        if name not in known:
            near = " or ".join(get_close_matches(name, known, n=3, cutoff=0.4)) or "one of them"
            raise UserMistakeError(
                f"{option} names no setting", got=repr(name), expected=f"of {', '.join(known)}", remedy=f"Take {near}."
            )
    return names
