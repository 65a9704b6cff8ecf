"""Every text that anybody could write to a tabular student, with its probability and as one enumerated batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.objectives.oracle import STOP, Chain, make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.writing import ExpertReplay, TurnWindow, Writing
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import TokenTable, batch_of

FIRST_TURN = 1  # tokens of the first turn; the others are the second one's
NUM_TURNS = 2


@dataclass(frozen=True)
class Text:
    """One way to write a sequence.

    Args:
        tokens: the sequence. author: who wrote it; TEACHER wrote its first ``given`` tokens in any case.
    """

    tokens: tuple[int, ...]
    author: Origin
    given: int = 0

    def origins(self) -> list[Origin]:
        return [Origin.TEACHER] * self.given + [self.author] * (len(self.tokens) - self.given)


@dataclass(frozen=True)
class World:
    """Who is who, as logits [P, V] over the chain's prefixes, and what is rewarded: the share of ones in a text."""

    chain: Chain
    data: Tensor

    @property
    def start(self) -> Tensor:
        return self.chain.logits.detach()

    def reward(self, tokens: Sequence[int]) -> float:
        return sum(token == 1 for token in tokens) / len(tokens)

    def logprob(self, logits: Tensor, tokens: Sequence[int], places: Sequence[int]) -> Tensor:
        logprobs = logits.log_softmax(1)
        rows = [self.chain.row_of(tokens[:t]) for t in places]
        return logprobs[rows, [tokens[t] for t in places]].sum()

    def probability(self, text: Text, student: Tensor) -> Tensor:
        """Of this text, where each token is drawn from its author."""
        of = {Origin.STUDENT: student, Origin.TEACHER: self.chain.teacher, Origin.DATA: self.data}
        origins = text.origins()
        total = student.new_zeros(())
        for author in set(origins):
            places = [t for t, origin in enumerate(origins) if origin == author]
            total = total + self.logprob(of[author], text.tokens, places)
        return total.exp().detach()


def make_world(seed: int = 0) -> World:
    """Three tokens, texts of at most three; the teacher and the data like the rewarded token more than the student."""
    chain = make_chain(seed, vocabulary=3, length=3)
    liked = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed + 100)
    data = torch.randn(chain.logits.shape, generator=generator, dtype=torch.float64)
    chain.teacher = chain.teacher + liked
    return World(chain, data + liked)


def texts_of(writing: Writing, chain: Chain, context: PlanContext) -> dict[Origin, list[Text]]:
    """Every text of each writer of a step."""
    mix, texts = writing.mix, {}
    if mix.student:
        texts[Origin.STUDENT] = list(dict.fromkeys(_students(writing, chain, context)))
    if mix.teacher:
        texts[Origin.TEACHER] = [Text(s, Origin.TEACHER) for s in chain.sequences]
    if mix.data:
        texts[Origin.DATA] = [Text(s, Origin.DATA) for s in chain.sequences]
    return texts


def _students(writing: Writing, chain: Chain, context: PlanContext) -> Iterator[Text]:
    assert not isinstance(writing.turns, ExpertReplay), "expert episodes are not enumerated here"
    given, longest = 0, chain.length
    if writing.prefix is not None:
        given = writing.prefix.longest(context, max_completion_length=chain.length)
    if isinstance(writing.turns, TurnWindow) and writing.turns.limit(context.step, max_turns=NUM_TURNS) == 1:
        longest = FIRST_TURN
    for sequence in chain.sequences:
        tokens = sequence[:longest]
        yield Text(tokens, Origin.STUDENT, given=min(given, len(tokens)))


@dataclass(frozen=True, eq=False)
class Enumerated:
    """A batch of groups of two texts of one writer (one of the data's), and what it takes to weigh them.

    Args:
        table: without any scorer's columns. rows: [N] the chain's row of each token. members: the texts of each group.
    """

    table: TokenTable
    rows: Tensor
    members: Sequence[Sequence[Text]]

    def probability(self, world: World, writing: Writing, student: Tensor) -> Tensor:
        """[N] of the group that a token belongs to, times the share of its writer."""
        share = {
            Origin.STUDENT: writing.mix.student,
            Origin.TEACHER: writing.mix.teacher,
            Origin.DATA: writing.mix.data,
        }
        texts = dict.fromkeys(itertools.chain.from_iterable(self.members))
        each = {text: float(world.probability(text, student)) for text in texts}
        numbers = []
        for group in self.members:
            orders = len(set(group))  # (a, b) and (b, a) are planned once
            numbers.append(share[group[0].author] * orders * torch.tensor([each[t] for t in group]).double().prod())
        return torch.stack(numbers)[self.table.rollouts["group"][self.table["rollout"]]]


def enumerated(texts: Mapping[Origin, Sequence[Text]], world: World) -> Enumerated:
    """All groups of a step's texts."""
    members: list[tuple[Text, ...]] = []
    for author, written in texts.items():
        single = author == Origin.DATA
        members += [(t,) for t in written] if single else itertools.combinations_with_replacement(written, 2)
    numbered = [(group, text) for group, both in enumerate(members) for text in both]
    rollouts = [_rollout(text, key, group, world) for key, (group, text) in enumerate(numbered)]
    rows = [world.chain.row_of(text.tokens[:t]) for _, text in numbered for t in range(len(text.tokens))]
    return Enumerated(batch_of(rollouts, contexts_of(rollouts)).table, torch.tensor(rows), members)


def _rollout(text: Text, key: int, group: int, world: World) -> Rollout:
    origins, prompt, turns = text.origins(), torch.tensor([1]), []
    for part in (slice(0, FIRST_TURN), slice(FIRST_TURN, None)):
        ids = torch.tensor(text.tokens[part], dtype=torch.int64)
        if ids.numel():
            turns.append(
                Turn(
                    prompt_ids=prompt,
                    completion_ids=ids,
                    origin=torch.tensor(origins[part]),
                    behaviour_logprob=torch.full(ids.shape, float("nan")),
                    weight_version=torch.zeros_like(ids),
                    finish_reason=FinishReason.STOP,
                )
            )
            prompt = torch.cat([prompt, ids])
    reward = world.reward(text.tokens)
    return Rollout(
        key=key,
        group=group,
        problem=str(group),
        turns=tuple(turns),
        finish_reason=FinishReason.STOP if STOP in text.tokens else FinishReason.LENGTH,
        reward=reward,
        correct=reward > 0.5,
        domain="ones",
    )
