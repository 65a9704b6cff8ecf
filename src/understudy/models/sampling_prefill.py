"""Reading prompts: each distinct one once, whatever the number of completions that begin with it."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from understudy.models.forward import causal_lm
from understudy.models.sampling_cache import Source, join, new_cache

Prompt = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Prefix:
    """Distinct prompts that were read, and what predicts their next token.

    Args:
        cache: one row a prompt, ending together. length: positions of it. row: of each prompt.
        logits: [d, V] after the prompts' last tokens.
    """

    cache: Any
    length: int
    row: dict[Prompt, int]
    logits: Tensor

    def only(self, prompt: Prompt) -> Prefix:
        """A copy of one prompt's row."""
        row = torch.tensor([self.row[prompt]], device=self.logits.device)
        cache = join([Source(_shell(self.cache), row)], length=len(prompt), reserve=len(prompt))
        return Prefix(cache, len(prompt), {prompt: 0}, self.logits[row])


def _shell(cache: Any) -> Any:
    """The same tensors under new layers, so that what takes rows of it leaves the old one as it is."""
    shell = copy.copy(cache)
    shell.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in shell.layers:
        for name in ("conv_states", "recurrent_states"):
            if hasattr(layer, name):
                setattr(layer, name, dict(getattr(layer, name)))
    return shell


def read_prompts(model: nn.Module, prompts: Sequence[Prompt], *, reserve: int, device: torch.device) -> Prefix:
    """One forward pass over these distinct prompts, padded on the left.

    Args:
        model: a causal language model in evaluation mode. reserve: positions a row will need in all.
    """
    width = max(map(len, prompts))
    ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=device)
    position = torch.arange(width, device=device) - (width - lengths)
    cache = new_cache(model.config, reserve)  # type: ignore[arg-type]
    logits = next_logits(model, ids, mask=position >= 0, position=position.clamp(min=0), cache=cache)
    return Prefix(cache, width, {prompt: row for row, prompt in enumerate(prompts)}, logits)


def next_logits(model: nn.Module, ids: Tensor, *, mask: Tensor, position: Tensor, cache: Any) -> Tensor:
    """[b, V] logits after the last of ``ids`` [b, n], whose keys and values are added to the cache.

    Args:
        mask: [b, length so far + n] bool, False where a column holds nothing of its row. position: [b, n] in the text.
    """
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=position,
        use_cache=True,
        logits_to_keep=1,
        **{_name_of_cache(type(causal_lm(model)).forward): cache},
    )
    return output.logits[:, -1]


@functools.cache
def _name_of_cache(forward: Callable[..., Any]) -> str:
    """Mamba and others without attention have a name of their own for it, and take no notice of the usual one."""
    known = inspect.signature(forward).parameters
    return "past_key_values" if "past_key_values" in known or "cache_params" not in known else "cache_params"
