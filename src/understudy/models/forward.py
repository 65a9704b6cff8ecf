"""From contexts to the last hidden states of chosen rows, in length-aware micro-batches, without any logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from understudy.errors import ShapeError
from understudy.models.attention import grouped_attention

# Padded tokens from which on a pass costs what its tokens cost, and not what it takes to begin one.
_WORTH_A_PASS = 1024


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Contexts that go through the backbone together, and which of their states are wanted.

    Args:
        ids: [B, L] int64, padded on the right with 0. flat: [M] int64 into B * L, the state that predicts each row.
        rows: [M] int64, ascending, the caller's numbers of these rows. num_tokens: real tokens in ``ids``.
    """

    ids: Tensor
    flat: Tensor
    rows: Tensor
    num_tokens: int

    def to(self, device: torch.device) -> MicroBatch:
        """The same with its tensors on ``device``."""
        return MicroBatch(self.ids.to(device), self.flat.to(device), self.rows.to(device), self.num_tokens)

    @classmethod
    def without_rows(cls) -> MicroBatch:
        """One padding token and no row: what a rank runs when the others still have work."""
        none = torch.zeros(0, dtype=torch.int64)
        return cls(torch.zeros(1, 1, dtype=torch.int64), none, none, 0)


def micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of contexts grouped so that a group's padded size stays within the budget.

    Longest first, so that the contexts of a group are of like length; a context above the budget stands alone. A
    group large enough to be worth a pass of its own takes no context that would be padded by more than a seventh.

    >>> micro_batches([3, 9, 4, 2], 9)
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    width = 0
    enough = max(_WORTH_A_PASS, token_budget // 16)
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        alike = groups and (lengths[index] * 8 >= width * 7 or width * len(groups[-1]) < enough)
        if alike and width * (len(groups[-1]) + 1) <= token_budget:
            groups[-1].append(index)
        else:
            groups.append([index])
            width = lengths[index]
    return groups


def plan_forward(
    contexts: Sequence[Tensor], context: Tensor, position: Tensor, *, token_budget: int
) -> list[MicroBatch]:
    """Micro-batches that cover every row once; contexts without a row are left out, and no token past the last row's.

    Args:
        contexts: [L] int64 ids each. context: [R], the context of each row. position: [R], the predicted token's
            index in its context; the state at ``position - 1`` predicts it.
        token_budget: padded tokens a micro-batch, at most.
    Raises:
        ShapeError: a row points outside its context.
    """
    context, position = context.cpu(), position.cpu()
    if context.numel() == 0:
        return []
    sizes = torch.tensor([ids.numel() for ids in contexts])
    if int(context.min()) < 0 or int(context.max()) >= len(contexts):
        raise ShapeError("a row's context", got=f"{int(context.min())}..{int(context.max())}", expected=len(contexts))
    if bool(((position < 1) | (position >= sizes[context])).any()):
        raise ShapeError("a row's position is outside its context", expected="1 <= position < length")
    lengths = torch.zeros(len(contexts), dtype=torch.int64).scatter_reduce_(0, context, position, "amax")
    used = lengths.nonzero().squeeze(1).tolist()
    groups = [[used[i] for i in group] for group in micro_batches(lengths[used].tolist(), token_budget)]
    place = torch.zeros(len(contexts), 2, dtype=torch.int64)
    for number, group in enumerate(groups):
        place[group] = torch.stack([torch.full((len(group),), number), torch.arange(len(group))], dim=1)
    group_of_row, slot_of_row = place[context].unbind(1)
    rows_by_group = group_of_row.argsort(stable=True).split(
        torch.bincount(group_of_row, minlength=len(groups)).tolist()
    )
    batches = []
    for group, rows in zip(groups, rows_by_group, strict=True):
        wanted = lengths[group].tolist()
        ids = pad_sequence([contexts[i][:n] for i, n in zip(group, wanted, strict=True)], batch_first=True)
        flat = slot_of_row[rows] * ids.shape[1] + position[rows] - 1
        batches.append(MicroBatch(ids, flat, rows, sum(wanted)))
    return batches


def causal_lm(model: nn.Module) -> Any:
    """The Hugging Face causal language model inside a PEFT wrapper, or the model itself."""
    unwrap: Any = getattr(model, "get_base_model", None)
    return model if unwrap is None else unwrap()


def backbone(model: nn.Module) -> nn.Module:
    """The module that gives last hidden states; adapter layers injected by PEFT stay active in it."""
    inner = causal_lm(model)
    found = inner.base_model
    return found if found is not inner else inner.get_decoder()


def hidden_rows(model: nn.Module, batch: MicroBatch, *, autocast: bool = False) -> Tensor:
    """[M, H] last hidden states of the wanted rows, in the order of ``batch.rows``.

    Padding stands on the right, where no causal model can see it; so no mask is passed and attention takes its
    fast causal path.

    Args:
        autocast: run the backbone's matrix products in bfloat16.
    """
    device = batch.ids.device
    attention = grouped_attention(causal_lm(model).config, device)
    with attention, torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
        states = backbone(model)(input_ids=batch.ids, use_cache=False).last_hidden_state
    return states.flatten(0, 1).index_select(0, batch.flat)
