"""The batch as three linked tables: one row a scored token, one a turn, one a rollout. No padding, no masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from understudy.errors import MissingColumnError, ShapeError
from understudy.rollouts import Context, FinishReason, Origin, Rollout

SCORED_ORIGINS = (Origin.STUDENT, Origin.TEACHER, Origin.DATA)


@dataclass(frozen=True, eq=False)
class Wide:
    """A wide column: K candidate ids a row and a scorer's full-vocabulary log-probabilities at them.

    Args:
        ids: [N, K] int64.
        logprobs: [N, K] float32 nats; -inf where the scorer gives the token no mass, or says nothing of it (not valid).
        valid: [N, K] bool, false for entries that only fill the row; None when all count.
    """

    ids: Tensor
    logprobs: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Hidden:
    """A scorer's last hidden states and the head that turns them into logits.

    Args:
        states: [N, H], one row a scored token.
        project: [M, H] -> [M, V] logits before temperature.
    """

    states: Tensor
    project: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Columns of the scored tokens, the turns and the rollouts of a batch.

    Args:
        tokens: narrow columns [N]: context, position (index in the context of the token itself, which
            the model predicts from position - 1), rollout, turn (row of ``turns``), index_in_rollout,
            token_id, origin, weight_version, behaviour_logprob; later student_logprob,
            student_entropy, teacher_logprob, teacher_entropy, reference_logprob.
        turns: columns [U]: rollout, index_in_rollout, num_tokens, reward.
        rollouts: columns [R]: key, group, reward (NaN = ungraded), correct (1, 0, NaN), truncated, num_tokens.
        domains: [R] names; problems: [R] identifiers.
        extra: the data set's other columns, one list entry a rollout.
        wide: wide columns by name, e.g. ``teacher_top_k``.
        hidden: last hidden states by scorer name.
    """

    tokens: Mapping[str, Tensor]
    turns: Mapping[str, Tensor]
    rollouts: Mapping[str, Tensor]
    domains: Sequence[str] = ()
    problems: Sequence[str] = ()
    extra: Sequence[Mapping[str, object]] = ()
    wide: Mapping[str, Wide] = field(default_factory=dict)
    hidden: Mapping[str, Hidden] = field(default_factory=dict)

    @property
    def num_tokens(self) -> int:
        """Number of scored tokens, N."""
        return self.tokens["token_id"].numel()

    @property
    def num_rollouts(self) -> int:
        """Number of rollouts, R, the empty ones included."""
        return self.rollouts["group"].numel()

    def __getitem__(self, column: str) -> Tensor:
        """The narrow token column of that name; raises MissingColumnError, never gives zeros."""
        if column not in self.tokens:
            raise MissingColumnError(
                f"token column {column!r} was not computed",
                expected=f"one of {', '.join(sorted(self.tokens))}",
                remedy="Declare it in the objective's needs so that the step asks a scorer for it.",
            )
        return self.tokens[column]

    def wide_column(self, column: str) -> Wide:
        """The wide column of that name; raises MissingColumnError."""
        if column not in self.wide:
            raise MissingColumnError(f"wide column {column!r} was not computed", expected=sorted(self.wide))
        return self.wide[column]

    def hidden_column(self, scorer: str) -> Hidden:
        """The hidden states of that scorer; raises MissingColumnError."""
        if scorer not in self.hidden:
            raise MissingColumnError(f"no hidden states of {scorer!r} were computed", expected=sorted(self.hidden))
        return self.hidden[scorer]

    def keep_rows(self, rows: Tensor) -> TokenTable:
        """The table with token rows ``rows`` ([M] int64, ascending) only; turns and rollouts stay, empty or not."""
        return replace(
            self,
            tokens={name: column[rows] for name, column in self.tokens.items()},
            wide={
                name: Wide(w.ids[rows], w.logprobs[rows], None if w.valid is None else w.valid[rows])
                for name, w in self.wide.items()
            },
            hidden={name: Hidden(h.states[rows], h.project) for name, h in self.hidden.items()},
        )

    def with_tokens(self, **columns: Tensor) -> TokenTable:
        """A copy with these narrow columns added or replaced; raises ShapeError unless each is [N]."""
        for name, column in columns.items():
            if tuple(column.shape) != (self.num_tokens,):
                raise ShapeError(f"column {name!r}", got=tuple(column.shape), expected=(self.num_tokens,))
        return replace(self, tokens={**self.tokens, **columns})

    def with_wide(self, **columns: Wide) -> TokenTable:
        """A copy with these wide columns added; raises ShapeError unless ids and log-probs are [N, K]."""
        for name, column in columns.items():
            shapes = (tuple(column.ids.shape), tuple(column.logprobs.shape))
            if shapes[0] != shapes[1] or column.ids.ndim != 2 or shapes[0][0] != self.num_tokens:
                raise ShapeError(f"wide column {name!r}", got=shapes, expected=f"[{self.num_tokens}, K] twice")
        return replace(self, wide={**self.wide, **columns})

    def with_hidden(self, **columns: Hidden) -> TokenTable:
        """A copy with these hidden states added; raises ShapeError unless each has N rows."""
        for name, column in columns.items():
            if column.states.shape[0] != self.num_tokens:
                raise ShapeError(f"hidden {name!r}", got=tuple(column.states.shape), expected=f"[{self.num_tokens}, H]")
        return replace(self, hidden={**self.hidden, **columns})


@dataclass(frozen=True, eq=False)
class Batch:
    """Contexts and the table of their scored tokens."""

    contexts: Sequence[Context]
    table: TokenTable


def batch_of(rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> Batch:
    """The batch of these rollouts: a row for every token that the student, a teacher or the data chose."""
    return Batch(contexts, _table_of(rollouts, contexts))


def _table_of(rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> TokenTable:
    first_turn = torch.tensor([0, *(len(r.turns) for r in rollouts)]).cumsum(0)
    parts = [_context_rows(number, context, first_turn) for number, context in enumerate(contexts)]
    parts.append(_context_rows(0, None, first_turn))
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    columns["index_in_rollout"] = _index_within(columns["rollout"], len(rollouts))
    turns = [
        (index, number, turn) for index, rollout in enumerate(rollouts) for number, turn in enumerate(rollout.turns)
    ]
    return TokenTable(
        tokens=columns,
        turns={
            "rollout": torch.tensor([t[0] for t in turns], dtype=torch.int64),
            "index_in_rollout": torch.tensor([t[1] for t in turns], dtype=torch.int64),
            "reward": torch.tensor([t[2].reward for t in turns], dtype=torch.float32),
            "num_tokens": torch.bincount(columns["turn"], minlength=len(turns)),
        },
        rollouts={
            "key": torch.tensor([r.key for r in rollouts], dtype=torch.int64),
            "group": torch.tensor([r.group for r in rollouts], dtype=torch.int64),
            "reward": torch.tensor([_or_nan(r.reward) for r in rollouts], dtype=torch.float32),
            "correct": torch.tensor([_or_nan(r.correct) for r in rollouts], dtype=torch.float32),
            "truncated": torch.tensor([r.finish_reason == FinishReason.LENGTH for r in rollouts], dtype=torch.bool),
            "num_tokens": torch.bincount(columns["rollout"], minlength=len(rollouts)),
        },
        domains=[r.domain for r in rollouts],
        problems=[r.problem for r in rollouts],
        extra=[r.extra for r in rollouts],
    )


def _or_nan(value: float | bool | None) -> float:
    return float("nan") if value is None else float(value)


def _context_rows(number: int, context: Context | None, first_turn: Tensor) -> dict[str, Tensor]:
    if context is None:
        none = torch.zeros(0, dtype=torch.int64)
        names = ("context", "position", "rollout", "turn", "token_id", "origin", "weight_version")
        return {**dict.fromkeys(names, none), "behaviour_logprob": torch.zeros(0)}
    scored = torch.isin(context.origin, torch.tensor(SCORED_ORIGINS))
    scored[:1] = False  # no model predicts the first token of a context
    position = scored.nonzero().squeeze(1)
    return {
        "context": torch.full_like(position, number),
        "position": position,
        "rollout": torch.full_like(position, context.rollout),
        "turn": first_turn[context.rollout] + context.turn[position],
        "token_id": context.ids[position],
        "origin": context.origin[position],
        "weight_version": context.weight_version[position],
        "behaviour_logprob": context.behaviour_logprob[position],
    }


def _index_within(rollout: Tensor, count: int) -> Tensor:
    """Running index of each row within its rollout, in whatever order the rollouts stand."""
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(rollout, minlength=count).cumsum(0)])
    order = rollout.argsort(stable=True)
    index = torch.empty_like(rollout)
    index[order] = torch.arange(rollout.numel()) - starts[rollout[order]]
    return index
