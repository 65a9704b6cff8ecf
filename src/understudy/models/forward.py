"""From contexts to the last hidden states of chosen rows, in length-aware micro-batches, without any logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from understudy.errors import ModelError, ShapeError
from understudy.models.packed_attention import NAME, our_kernels, reading
from understudy.models.packing import micro_batches, packed_batches, packed_budget, pays_to_pack


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Contexts that go through the backbone together, and which of their states are wanted.

    Args:
        ids: [B, L] int64, padded on the right with 0; packed: [1, T], contexts one after another.
        flat: [M] int64 into B * L or T, the state that predicts each row.
        rows: [M] int64, ascending, the caller's numbers of these rows. num_tokens: real tokens in ``ids``.
        lengths: of the contexts of a packed micro-batch, in order; None: padded.
    """

    ids: Tensor
    flat: Tensor
    rows: Tensor
    num_tokens: int
    lengths: tuple[int, ...] | None = None

    def to(self, device: torch.device) -> MicroBatch:
        """The same with its tensors on ``device``."""
        return replace(self, ids=self.ids.to(device), flat=self.flat.to(device), rows=self.rows.to(device))

    @classmethod
    def without_rows(cls) -> MicroBatch:
        """One padding token and no row: what a rank runs when the others still have work."""
        none = torch.zeros(0, dtype=torch.int64)
        return cls(torch.zeros(1, 1, dtype=torch.int64), none, none, 0)


def plan_forward(
    contexts: Sequence[Tensor], context: Tensor, position: Tensor, *, token_budget: int, model: nn.Module | None = None
) -> list[MicroBatch]:
    """Micro-batches that cover every row once; contexts without a row are left out, and no token past the last row's.

    Args:
        contexts: [L] int64 ids each. context: [R], the context of each row. position: [R], the predicted token's
            index in its context; the state at ``position - 1`` predicts it.
        token_budget: tokens a micro-batch, at most, padding included.
        model: who will read them. Where it was found fit (``architectures.why_not_packed``) contexts are packed if
            that pays; else, or without it, they are padded.
    Raises:
        ShapeError: a row points outside its context.
    """
    context, position = context.cpu(), position.cpu()
    if context.numel() == 0:
        return []
    lengths = _needed_lengths(contexts, context, position)
    used = lengths.nonzero().squeeze(1).tolist()
    needed = lengths[used].tolist()
    groups, packs = micro_batches(needed, token_budget), False
    if model is not None and reads_packed(model):
        room = packed_budget(token_budget, next(model.parameters()).device)
        packs = pays_to_pack(needed, padded_tokens=token_budget, packed_tokens=room)
        groups = packed_batches(needed, room) if packs else groups
    groups = [[used[i] for i in group] for group in groups]
    owner = torch.zeros(len(contexts), dtype=torch.int64)
    for number, group in enumerate(groups):
        owner[group] = number
    by_group = owner[context].argsort(stable=True)
    rows_of_groups = by_group.split(torch.bincount(owner[context], minlength=len(groups)).tolist())
    batches = []
    for group, rows in zip(groups, rows_of_groups, strict=True):
        sizes = lengths[group].tolist()
        pieces = [contexts[i][:n] for i, n in zip(group, sizes, strict=True)]
        starts = torch.zeros(len(contexts), dtype=torch.int64)
        starts[group] = _starts(sizes, packs=packs)
        ids = torch.cat(pieces)[None] if packs else pad_sequence(pieces, batch_first=True)
        flat = starts[context[rows]] + position[rows] - 1
        batches.append(MicroBatch(ids, flat, rows, sum(sizes), tuple(sizes) if packs else None))
    return batches


def _needed_lengths(contexts: Sequence[Tensor], context: Tensor, position: Tensor) -> Tensor:
    """[C] how far each context has to be read: as far as its last row's predecessor; 0 without rows."""
    sizes = torch.tensor([ids.numel() for ids in contexts])
    if int(context.min()) < 0 or int(context.max()) >= len(contexts):
        raise ShapeError("a row's context", got=f"{int(context.min())}..{int(context.max())}", expected=len(contexts))
    if bool(((position < 1) | (position >= sizes[context])).any()):
        raise ShapeError("a row's position is outside its context", expected="1 <= position < length")
    return torch.zeros(len(contexts), dtype=torch.int64).scatter_reduce_(0, context, position, "amax")


def _starts(sizes: Sequence[int], *, packs: bool) -> Tensor:
    """Where each context begins among the states of its micro-batch, laid end to end."""
    if packs:
        return torch.tensor([0, *sizes[:-1]]).cumsum(0)
    return torch.arange(len(sizes)) * max(sizes)


def causal_lm(model: nn.Module) -> Any:
    """The Hugging Face causal language model inside a PEFT wrapper, or the model itself."""
    unwrap: Any = getattr(model, "get_base_model", None)
    return model if unwrap is None else unwrap()


def backbone(model: nn.Module) -> nn.Module:
    """The module that gives last hidden states; adapter layers injected by PEFT stay active in it."""
    inner = causal_lm(model)
    found = next((part for part in (inner.base_model, inner.get_decoder()) if part is not inner), None)
    return inner.model if found is None else found


def reads_packed(model: nn.Module) -> bool:
    """Whether the model was found fit for packed contexts."""
    return bool(causal_lm(model).config.get_text_config()._attn_implementation == NAME)


def hidden_rows(model: nn.Module, batch: MicroBatch, *, autocast: bool = False) -> Tensor:
    """[M, H] last hidden states of the wanted rows, in the order of ``batch.rows``.

    Padding stands on the right, where no causal model can see it; so no mask tensor is made, and attention takes its
    fast causal path.

    Args:
        autocast: run the backbone's matrix products in bfloat16.
    Raises:
        ModelError: the micro-batch is packed and the model was not found fit for it.
    """
    device = batch.ids.device
    with _attention_for(model, batch), torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
        inputs = _packed_inputs(batch) if batch.lengths is not None else {}
        states = backbone(model)(input_ids=batch.ids, use_cache=False, **inputs).last_hidden_state
    return states.flatten(0, 1).index_select(0, batch.flat)


@contextmanager
def _attention_for(model: nn.Module, batch: MicroBatch) -> Iterator[None]:
    if reads_packed(model):
        with reading(batch.lengths):
            yield
    elif batch.lengths is not None:
        raise ModelError(
            f"{type(causal_lm(model)).__name__} was given packed contexts",
            expected="a model that architectures.why_not_packed found fit for them",
        )
    elif batch.ids.device.type == "cpu":
        with our_kernels(causal_lm(model).config):
            yield
    else:
        yield


def _packed_inputs(batch: MicroBatch) -> dict[str, Tensor]:
    """Positions that begin anew with each context. The mask of ones only says that there is one, so that transformers
    asks for it in its plain form and does not look for packing by itself."""
    assert batch.lengths is not None
    device = batch.ids.device
    lengths = torch.tensor(batch.lengths, device=device)
    total = batch.ids.shape[1]
    starts = (lengths.cumsum(0) - lengths).repeat_interleave(lengths, output_size=total)
    positions = torch.arange(total, device=device) - starts
    return {"position_ids": positions[None], "attention_mask": torch.ones_like(batch.ids, dtype=torch.bool)}
