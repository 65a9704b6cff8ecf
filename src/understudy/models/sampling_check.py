"""Does a model decode what it reads? Asked once, before anything is drawn: other architectures keep other states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from understudy.errors import ModelError, first_line
from understudy.models.allocation import is_out_of_memory
from understudy.models.forward import causal_lm
from understudy.models.sampling_prefill import next_logits, read_prompts

_TOLERANCE = 1e-3


@torch.no_grad()
def check_decoding(model: nn.Module, *, vocab_size: int) -> None:
    """Two short prompts side by side and a token more, against each text read as a whole; they must agree.

    A model of lower precision rounds the two otherwise: there it is enough that they are nearer to each other than to
    what the model says of the last token alone.

    Args:
        model: in evaluation mode. vocab_size: true vocabulary.
    Raises:
        ModelError: what was read is forgotten, or the prompts' padding is not; or the model keeps its state by itself.
    """
    prompts, last = [(0, 1 % vocab_size, 2 % vocab_size), (1 % vocab_size,)], 3 % vocab_size
    parameter = next(model.parameters())
    device, name = parameter.device, type(causal_lm(model)).__name__
    with torch.autocast(device.type, enabled=False):  # it rounds the two otherwise as well
        try:
            found = _decoded(model, prompts, last, device)[:, :vocab_size]
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise _unknown(name, f"{type(error).__name__}: {first_line(error)}") from error
        whole = _read(model, [(*prompt, last) for prompt in prompts], device)[:, :vocab_size]
        alone = _read(model, [(last,)], device)[:, :vocab_size]
    off = (found - whole).abs().amax(1)
    allowed = _TOLERANCE * whole.abs().amax(1).clamp_min(1.0)
    if parameter.dtype not in (torch.float32, torch.float64):
        allowed = torch.maximum(50 * allowed, (alone - whole).abs().amax(1) / 2)
    if bool(whole.isfinite().all()) and not bool((off <= allowed).all()):
        raise _unknown(name, f"logits off by {float(off.max()):.1e} after prompts of different lengths")


def _decoded(model: nn.Module, prompts: list[tuple[int, ...]], last: int, device: torch.device) -> Tensor:
    """[p, V] after the prompts, read side by side, and the token ``last``."""
    longest = max(map(len, prompts))
    prefix = read_prompts(model, prompts, reserve=longest + 1, device=device)
    lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=device)
    mask = torch.arange(longest + 1, device=device) >= longest - lengths
    ids = torch.full((len(prompts), 1), last, device=device)
    return next_logits(model, ids, mask=mask, position=lengths, cache=prefix.cache).float()


def _read(model: Any, texts: list[tuple[int, ...]], device: torch.device) -> Tensor:
    read = [model(input_ids=torch.tensor([text], device=device), use_cache=False).logits[0, -1] for text in texts]
    return torch.stack(read).float()


def _unknown(name: str, got: str) -> ModelError:
    return ModelError(
        f"{name} cannot be sampled here: it does not decode side by side what it reads",
        got=got,
        remedy="Sample it from a server (rollout.server), or take another model.",
    )
