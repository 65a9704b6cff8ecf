"""What a teacher may be told that the student is not: where the text comes from, and when it is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy.models.chat import decode
from understudy.rollouts import Rollout
from understudy.tasks.templates import MissingValueError, text_of

After = Literal["rollout", "reward", "group"]


@dataclass(frozen=True)
class Hint:
    """One source of text.

    Args:
        read: (rollout, the rollouts of its group) -> the text, or None where there is none for this rollout.
        after: when it is known. is_own: whether it depends on the rollout; a fixed text tells nothing of a task.
    """

    read: Callable[[Rollout, Sequence[Rollout]], str | None]
    after: After = "rollout"
    is_own: bool = True


def last_moment(moments: Iterable[After]) -> After:
    """The latest of these moments."""
    return max(moments, key=get_args(After).index)


def fixed(text: str) -> Hint:
    """The same text for every rollout: a system prompt, the experience of earlier runs."""
    return Hint(lambda *_: text, is_own=False)


def column(name: str, *, after: After = "rollout") -> Hint:
    """The text of a column of the data set's row, or of what the environment added to it."""
    return Hint(lambda rollout, _: column_text(rollout.extra, name), after)


def column_text(columns: Mapping[str, object], name: str) -> str | None:
    """The column's text; None where the row has no such column, or nothing in it.

    Raises:
        DataError: it holds neither text nor a number.
    """
    try:
        return text_of(columns, name).strip() or None
    except MissingValueError:
        return None


def demonstration(gold: Callable[[Rollout], str | None]) -> Hint:
    """What the data says a student should have said."""
    return Hint(lambda rollout, _: gold(rollout))


def successful_peer(tokenizer: PreTrainedTokenizerBase, *, success: float) -> Hint:
    """What another rollout of the group said that solved the task, without its thinking; never the rollout's own words.

    Of several, the next one by key, so that the rollouts of a group read different ones. A rollout is successful when
    it is correct or, where that is undecided, when its reward is at least ``success``.
    """

    def read(rollout: Rollout, group: Sequence[Rollout]) -> str | None:
        peers = [peer for peer in group if peer.key != rollout.key and _solved(peer, success)]
        for peer in sorted(peers, key=lambda peer: (peer.key < rollout.key, peer.key)):
            said = [spoken(tokenizer, turn.completion_ids) for turn in peer.turns]
            if any(said):
                return "\n\n".join(text for text in said if text)
        return None

    return Hint(read, "group")


def _solved(rollout: Rollout, success: float) -> bool:
    if rollout.correct is not None:
        return rollout.correct
    return rollout.reward is not None and rollout.reward >= success


def spoken(tokenizer: PreTrainedTokenizerBase, ids: Tensor) -> str:
    """The text of a completion without special tokens and without its thinking."""
    # The marks of thinking may be special tokens themselves: they must still be there when it is cut.
    text = without_thinking(decode(tokenizer, ids, skip_special_tokens=False))
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, "")
    return text.strip()


def without_thinking(text: str) -> str:
    """The text outside <think>...</think>; a mark without its partner reaches to the text's beginning or end.

    >>> without_thinking("<think>2 + 2</think> four")
    'four'
    >>> without_thinking("so it is</think>four"), without_thinking("well, <think>four or")
    ('four', 'well,')
    """
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    return text.rpartition("</think>")[2].partition("<think>")[0].strip()
