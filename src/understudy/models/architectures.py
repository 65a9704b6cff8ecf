"""Which models read contexts that are packed into one row: found by trying, because no list of names would hold."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from understudy.errors import first_line
from understudy.models.forward import MicroBatch, backbone, causal_lm, hidden_rows
from understudy.models.packed_attention import NAME
from understudy.models.quick_layers import quicken
from understudy.models.varlen import installed

_log = logging.getLogger(__name__)
_LENGTHS = (7, 12, 12, 4, 1)
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
_HALF_TOLERANCE = 3e-2


def why_not_packed(model: nn.Module, *, autocast: bool = False) -> str | None:
    """None where the model's answers are the same packed and alone; its attention is ours from then on. Else why not.

    Five short random contexts go through the model alone, padded and packed. A model found unfit is left as it was:
    its contexts are padded. The layers of one found fit run fused where they are known and give the same too. Call it
    when a model is loaded, outside of any sharding.

    Args:
        autocast: the model's products will run in bfloat16.
    """
    text = causal_lm(model).config.get_text_config()
    before = text._attn_implementation
    if before == NAME:
        return None
    reason = _known_reason(model, before, autocast=autocast)
    if reason is not None:
        return reason
    ids = _contexts(int(text.vocab_size), device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    try:
        reason = _difference(model, ids, text, autocast=autocast)
        text._attn_implementation = NAME if reason is None else before
        if reason is None:
            _quicken(model, ids, autocast=autocast)
    finally:
        model.train(was_training)
    return reason


@torch.no_grad()
def _quicken(model: nn.Module, ids: list[Tensor], *, autocast: bool) -> None:
    """Fuse what is known of the layers, and take that back where the answers are then others."""
    batch, tolerance = _packed(ids), _tolerance(model, autocast=autocast)
    with torch.autocast(ids[0].device.type, dtype=torch.bfloat16, enabled=autocast):
        plain = hidden_rows(model, batch, autocast=autocast)
        changes = quicken(model)
        gap = _relative(hidden_rows(model, batch, autocast=autocast), plain) if changes else 0.0
    if not gap <= tolerance and bool(plain.isfinite().all()):
        for change in changes:
            change.undo()
        _log.warning("fused layers are off by %.1e for this model; it takes transformers' own.", gap)


def _tolerance(model: nn.Module, *, autocast: bool) -> float:
    return _HALF_TOLERANCE if autocast else _TOLERANCE.get(next(model.parameters()).dtype, _HALF_TOLERANCE)


def _known_reason(model: nn.Module, implementation: str | None, *, autocast: bool) -> str | None:
    parameter = next(model.parameters())
    if implementation not in ("sdpa", "eager"):
        return f"its attention is {implementation}, and not sdpa or eager"
    if any(isinstance(module, nn.Conv1d) for module in backbone(model).modules()):
        return "it has convolutions over time (a state-space or hybrid model), which would read across contexts"
    half = autocast or parameter.dtype in (torch.bfloat16, torch.float16)
    if parameter.is_cuda and not (half and installed()):
        return "on a GPU packing needs half precision and PyTorch's variable-length attention (2.10 or later)"
    return None


def _difference(model: nn.Module, contexts: list[Tensor], text: Any, *, autocast: bool) -> str | None:
    tolerance = _tolerance(model, autocast=autocast)
    try:
        with torch.no_grad(), torch.autocast(contexts[0].device.type, dtype=torch.bfloat16, enabled=autocast):
            alone = [backbone(model)(input_ids=ids[None], use_cache=False).last_hidden_state[0] for ids in contexts]
            text._attn_implementation = NAME
            for form, batch in {"padded": _padded(contexts), "packed": _packed(contexts)}.items():
                states = hidden_rows(model, batch, autocast=autocast).split([ids.numel() for ids in contexts])
                worst = max(_relative(ours, theirs) for ours, theirs in zip(states, alone, strict=True))
                if not worst <= tolerance:
                    return f"its {form} states differ from those of contexts alone (relative difference {worst:.1e})"
    except Exception as error:  # an unknown architecture may refuse in any way; all of them mean: pad
        return f"it cannot be read through our attention ({type(error).__name__}: {first_line(error)[:160]})"
    return None


def _contexts(vocab_size: int, *, device: torch.device) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(vocab_size, (length,), generator=generator).to(device) for length in _LENGTHS]


def _packed(contexts: list[Tensor]) -> MicroBatch:
    ids = torch.cat(contexts)
    every = torch.arange(ids.numel(), device=ids.device)
    return MicroBatch(ids[None], every, every, ids.numel(), tuple(context.numel() for context in contexts))


def _padded(contexts: list[Tensor]) -> MicroBatch:
    ids = pad_sequence(contexts, batch_first=True)
    width = ids.shape[1]
    places = [torch.arange(c.numel(), device=ids.device) + number * width for number, c in enumerate(contexts)]
    flat = torch.cat(places)
    return MicroBatch(ids, flat, torch.arange(flat.numel(), device=ids.device), flat.numel())


def _relative(ours: Tensor, theirs: Tensor) -> float:
    wide = theirs.double()
    return float((ours.double() - wide).norm() / wide.norm().clamp_min(1e-12))
