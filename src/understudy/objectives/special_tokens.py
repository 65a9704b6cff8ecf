"""The gate of special tokens: pieces of a template that two models of one family may still write differently."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import Gate
from understudy.objectives.needs import requires
from understudy.tokens import TokenTable


def first_special_tokens(tokens: Sequence[int | str]) -> Gate:
    """Rows that hold the first occurrence, in their rollout, of one of these tokens.

    Args:
        tokens: ids; a text stands for a token whose id is not known yet and is refused when the gate is planned.

    Source: Revisiting OPD, arXiv:2603.25562 (tokenizer and special-token mismatch).
    """

    @requires()
    def column(table: TokenTable, _: PlanContext) -> Tensor:
        first = torch.zeros(table.num_tokens, dtype=torch.bool)
        for token in tokens:
            if isinstance(token, str):
                raise RecipeError(
                    f"special token {token!r} has no id",
                    remedy="Name it by its id, or resolve the method's tokens with with_token_ids(tokenizer).",
                )
            first |= _first_of(token, table)
        return first

    return Gate("first_special_token", column)


def _first_of(token: int, table: TokenTable) -> Tensor:
    rollout, index = table["rollout"], table["index_in_rollout"]
    here = table["token_id"] == token
    never = torch.iinfo(index.dtype).max
    first = torch.full((table.num_rollouts,), never).scatter_reduce(0, rollout[here], index[here], "amin")
    return here & (index == first[rollout])
