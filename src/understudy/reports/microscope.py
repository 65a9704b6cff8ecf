"""The token microscope: rollouts as coloured tokens with every figure behind them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from markupsafe import Markup

from understudy.reports.figures import count, number
from understudy.reports.saved_rollouts import Figures, SavedRollout, SavedStep, SavedTurn, TopTokens
from understudy.reports.token_columns import ColourColumn, columns_of, values_of
from understudy.reports.token_text import Decode, pieces
from understudy.reports.visible_text import marked
from understudy.rollouts import Origin

MAX_TOKENS = 1500
"""Shown of one completion or prompt; a page of whole books opens nowhere."""

_PART = "▫"
"""Stands for a token that holds only a part of a character."""


@dataclass(frozen=True)
class TurnView:
    """A turn on the page: dimmed prompt, coloured tokens, their figures as JSON, and what was left out."""

    prompt: str
    tokens: Markup
    figures: str
    note: str


@dataclass(frozen=True)
class RolloutView:
    """A rollout on the page. ``facts`` are words for its head; ``kl``, ``reward``, ``length`` sort it."""

    anchor: str
    problem: str
    facts: tuple[str, ...]
    correct: bool | None
    kl: float | None
    reward: float | None
    length: int
    turns: tuple[TurnView, ...]


@dataclass(frozen=True)
class StepView:
    """A step's rollouts on the page."""

    step: int
    total: int
    order: str
    rollouts: tuple[RolloutView, ...]


@dataclass(frozen=True)
class Microscope:
    """Columns to choose from, and the steps.

    Args:
        has_text: false where tokens are shown by their ids. words: the text of each id among the likeliest tokens.
    """

    columns: tuple[ColourColumn, ...]
    steps: tuple[StepView, ...]
    has_text: bool
    words: Mapping[int, str] = field(default_factory=dict)


def microscope(steps: Sequence[SavedStep], decode: Decode | None) -> Microscope:
    """The page's view of saved rollouts; tokens are coloured by the first column, the page's script by the others."""
    columns = columns_of([rollout for step in steps for rollout in step.rollouts])
    domains = {rollout.domain for step in steps for rollout in step.rollouts}
    views = tuple(_step(step, columns, decode, name_domain=len(domains) > 1) for step in steps)
    return Microscope(columns, views, decode is not None, _words(steps, decode))


def _words(steps: Sequence[SavedStep], decode: Decode | None) -> dict[int, str]:
    """Text of the ids among the likeliest tokens, each once; a part of a character has the sign of one."""
    turns = (turn for step in steps for rollout in step.rollouts for turn in rollout.turns)
    tops = [top for turn in turns for top in turn.tops.values()]
    ids = sorted({one for top in tops for some in top.ids[:MAX_TOKENS] for one in some})
    return {one: f"[{one}]" if decode is None else marked(decode([one])) or _PART for one in ids}


def _step(step: SavedStep, columns: Sequence[ColourColumn], decode: Decode | None, *, name_domain: bool) -> StepView:
    views = tuple(_rollout(rollout, columns, decode, name_domain=name_domain) for rollout in step.rollouts)
    return StepView(step.step, step.total, step.order, views)


def _rollout(
    rollout: SavedRollout, columns: Sequence[ColourColumn], decode: Decode | None, *, name_domain: bool
) -> RolloutView:
    turns = [_turn(turn, before, columns, decode) for before, turn in _with_context(rollout.turns)]
    kl = rollout.kl
    facts = [
        *([rollout.domain] if name_domain and rollout.domain else []),
        *([f"reward {number(rollout.reward)}"] if rollout.reward is not None else []),
        *([f"reverse KL {number(kl)} nats per token"] if kl is not None else []),
        count(rollout.num_tokens, "token"),
        *([count(len(turns), "turn")] if len(turns) != 1 else []),
        {"stop": "ended by itself", "length": "cut by the length limit"}.get(
            rollout.finish_reason, f"ended: {rollout.finish_reason}"
        ),
    ]
    if rollout.is_magnified:
        facts.append("likeliest tokens kept")
    others = _others(rollout)
    if others:
        whose = f"{'partly ' if _has_own(rollout) else ''}written by {' and '.join(others)}"
        facts.append(_beginning(rollout) or whose)
    return RolloutView(
        anchor=f"step-{rollout.step}-rollout-{rollout.index}",
        problem=rollout.problem,
        facts=tuple(facts),
        correct=rollout.correct,
        kl=kl,
        reward=rollout.reward,
        length=rollout.num_tokens,
        turns=tuple(turns),
    )


def _others(rollout: SavedRollout) -> list[str]:
    """Who besides the student chose tokens of the rollout."""
    origins = sorted({origin for turn in rollout.turns for origin in turn.origin} - {Origin.STUDENT})
    return [f"the {_name(origin)}" for origin in origins]


def _beginning(rollout: SavedRollout) -> str:
    """What a teacher wrote of a rollout before the student's first token; nothing where the student wrote none."""
    if not _has_own(rollout):
        return ""
    turns = list(takewhile(lambda turn: set(turn.origin) == {Origin.TEACHER}, rollout.turns))
    tokens = list(takewhile(lambda origin: origin == Origin.TEACHER, rollout.turns[len(turns)].origin))
    parts = [count(len(turns), "turn")] if turns else []
    parts += [count(len(tokens), "token")] if tokens else []
    return f"begun by the teacher: {' and '.join(parts)}" if parts else ""


def _has_own(rollout: SavedRollout) -> bool:
    return any(Origin.STUDENT in turn.origin for turn in rollout.turns)


def _name(origin: int) -> str:
    return Origin(origin).name.lower() if origin in set(Origin) else f"origin {origin}"


def _with_context(turns: Sequence[SavedTurn]) -> list[tuple[int, SavedTurn]]:
    """Each turn with how many ids of its prompt the page has shown already, as the turns before it."""
    shown: tuple[int, ...] = ()
    pairs = []
    for turn in turns:
        known = len(shown) if turn.prompt_ids[: len(shown)] == shown else 0
        pairs.append((known, turn))
        shown = turn.prompt_ids + turn.completion_ids
    return pairs


def _turn(turn: SavedTurn, known: int, columns: Sequence[ColourColumn], decode: Decode | None) -> TurnView:
    prompt_ids = turn.prompt_ids[known:]
    cut_prompt = len(prompt_ids) > MAX_TOKENS
    prompt_ids = prompt_ids[-MAX_TOKENS:]
    completion_ids = turn.completion_ids[:MAX_TOKENS]
    texts = _texts([*prompt_ids, *completion_ids], decode)
    values = values_of(turn)
    notes = []
    if cut_prompt:
        notes.append(f"Only the last {MAX_TOKENS:,} tokens of the prompt are shown.")
    if len(turn.completion_ids) > MAX_TOKENS:
        notes.append(f"Only the first {MAX_TOKENS:,} of {len(turn.completion_ids):,} tokens are shown.")
    if decode is None and turn.completion is not None:
        notes.append(f"As text: {turn.completion[: 4 * MAX_TOKENS]}")
    prompt = "".join(texts[: len(prompt_ids)])
    if decode is None and turn.prompt is not None and not known:
        prompt = turn.prompt[-4 * MAX_TOKENS :]
    return TurnView(
        prompt=prompt,
        tokens=_tokens(texts[len(prompt_ids) :], turn, values, columns),
        figures=_figures(turn, completion_ids, values),
        note=" ".join(notes),
    )


def _texts(ids: Sequence[int], decode: Decode | None) -> list[str]:
    return [f"[{one}]" for one in ids] if decode is None else pieces(ids, decode)


def _tokens(
    texts: Sequence[str], turn: SavedTurn, values: Mapping[str, Figures], columns: Sequence[ColourColumn]
) -> Markup:
    """``<i>`` elements without anything between them, so that the text reads and copies as it was written."""
    first = next((column for column in columns), None)
    figures = values.get(first.key) if first else None
    spans = []
    for place, text in enumerate(texts):
        shade = first.shade(figures[place]) if first is not None and figures is not None else ""
        origin = "" if turn.origin[place] == Origin.STUDENT else "other"
        classes = " ".join(filter(None, (shade, origin)))
        spans.append(Markup('<i class="{}">{}</i>' if classes else "<i>{1}</i>").format(classes, marked(text) or _PART))
    return Markup("").join(spans)


def _figures(turn: SavedTurn, ids: Sequence[int], values: Mapping[str, Figures]) -> str:
    columns = {
        key: [None if not math.isfinite(value) else float(f"{value:.4g}") for value in column[: len(ids)]]
        for key, column in values.items()
    }
    origins = [_name(one) for one in turn.origin[: len(ids)]]
    content = {"ids": list(ids), "origins": origins, "values": columns}
    tops = {who: _top(top, len(ids)) for who, top in turn.tops.items()}
    return json.dumps({**content, "tops": tops} if tops else content, separators=(",", ":"))


def _top(top: TopTokens, length: int) -> list[list[list[float]]]:
    """At each place the ids and their log-probs."""
    places = zip(top.ids[:length], top.logprobs[:length], strict=True)
    return [[list(ids), [float(f"{max(one, -99.0):.3g}") for one in logprobs]] for ids, logprobs in places]
