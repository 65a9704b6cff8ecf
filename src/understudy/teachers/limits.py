"""What several scorers can give together, and requests that ask for more."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from understudy.errors import CapabilityError
from understudy.protocols import Capabilities, Scorer, ScoreRequest


def shared_capabilities(scorers: Mapping[str, Scorer]) -> Capabilities:
    """What every one of the scorers can give; none of them alone can write for all."""
    each = [scorer.capabilities for scorer in scorers.values()]
    sizes = {one.vocab_size for one in each}
    return Capabilities(
        sampled=all(one.sampled for one in each),
        top_k=min(one.top_k for one in each),
        at_ids=min(one.at_ids for one in each),
        entropy=all(one.entropy for one in each),
        hidden=all(one.hidden for one in each),
        vocab_size=sizes.pop() if len(sizes) == 1 else None,
    )


def refuse_beyond(request: ScoreRequest, capabilities: Capabilities, *, who: str) -> None:
    """Raise CapabilityError where the request asks for more than ``capabilities``."""
    ids = 0 if request.ids is None else request.ids.shape[1]
    wanted = {
        f"the top {request.top_k} tokens (its limit: {capabilities.top_k})": request.top_k > capabilities.top_k,
        f"log-probs at {ids} chosen ids (its limit: {capabilities.at_ids})": ids > capabilities.at_ids,
        "exact entropies": request.entropy and not capabilities.entropy,
        "last hidden states": request.hidden and not capabilities.hidden,
    }
    missing = [what for what, lacks in wanted.items() if lacks]
    if missing:
        raise CapabilityError(f"{who} cannot give {' and '.join(missing)}", remedy="Use another method or teacher.")


def fingerprint_of(kind: str, parts: Mapping[str, object]) -> str:
    """``kind:`` and 16 hex digits over the parts, in their order."""
    text = "\n".join(f"{name}={part}" for name, part in parts.items())
    return f"{kind}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
