"""Every group that a tabular student can write, with rewards and turns: expectations over groups without sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tests.objectives.oracle import Chain, fill, plan_loss
from understudy.objectives.context import PlanContext
from understudy.objectives.objective import Objective
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import TokenTable, batch_of


@dataclass
class Groups:
    """Every ordered pair of the chain's sequences as a group of two, each rollout cut into two turns.

    Args:
        rewards: one a sequence; above 0.5 it solved its task. first_turn: tokens of the first turn, all others are in
            the second; None: one turn.
    """

    chain: Chain
    rewards: Tensor
    first_turn: int | None = None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        count = len(self.chain.sequences)
        return [(i, j) for i in range(count) for j in range(count)]

    def rollouts(self) -> list[Rollout]:
        numbers = [(group, number) for group, pair in enumerate(self.pairs) for number in pair]
        return [
            episode_of(
                self.chain.sequences[number],
                key=key,
                group=group,
                reward=float(self.rewards[number]),
                first_turn=self.first_turn,
            )
            for key, (group, number) in enumerate(numbers)
        ]

    def state_rows(self) -> Tensor:
        """The chain's row of every token of the table."""
        of = [[self.chain.row_of(s[:t]) for t in range(len(s))] for s in self.chain.sequences]
        return torch.tensor([row for pair in self.pairs for number in pair for row in of[number]])

    def table(self) -> TokenTable:
        """With every column; strictly on policy."""
        rollouts = self.rollouts()
        table = batch_of(rollouts, contexts_of(rollouts)).table
        rewards = torch.tensor([float(self.rewards[n]) for pair in self.pairs for n in pair], dtype=torch.float64)
        table = replace(table, rollouts={**table.rollouts, "reward": rewards})
        rows, chain = self.state_rows(), self.chain
        student = chain.logits.detach().log_softmax(1)[rows]
        reference = None if chain.reference is None else chain.reference.log_softmax(1)[rows]
        teacher = chain.teacher.log_softmax(1)[rows]
        return fill(table, student=student, teacher=teacher, behaviour=student, k=2, reference=reference)

    def probability(self, logits: Tensor) -> Tensor:
        """Of each ordered pair."""
        each = self.chain.sequence_logprob(logits).exp()
        first, second = (torch.tensor(side) for side in zip(*self.pairs, strict=True))
        return each[first] * each[second]

    def expected_reward(self, logits: Tensor) -> Tensor:
        return (self.chain.sequence_logprob(logits).exp() * self.rewards).sum()


def make_rewards(chain: Chain, seed: int = 0) -> Tensor:
    """Different for every sequence but two, which are equal."""
    rewards = torch.rand(len(chain.sequences), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rewards[1] = rewards[0]
    return rewards


def episode_of(
    sequence: Sequence[int], *, key: int, group: int, reward: float, first_turn: int | None = None
) -> Rollout:
    """A rollout of one or two turns of one growing context."""
    cut = len(sequence) if first_turn is None else first_turn
    parts = [part for part in (sequence[:cut], sequence[cut:]) if part]
    turns: list[Turn] = []
    prompt = torch.tensor([1])
    for part in parts:
        ids = torch.tensor(part)
        turns.append(
            Turn(
                prompt_ids=prompt,
                completion_ids=ids,
                origin=torch.full_like(ids, Origin.STUDENT),
                behaviour_logprob=torch.full(ids.shape, float("nan")),
                weight_version=torch.zeros_like(ids),
                finish_reason=FinishReason.STOP,
            )
        )
        prompt = torch.cat([prompt, ids])
    return Rollout(
        key=key,
        group=group,
        problem=str(group),
        turns=tuple(turns),
        finish_reason=FinishReason.STOP,
        reward=reward,
        correct=reward > 0.5,
    )


def expected_group_gradient(objective: Objective, groups: Groups, *, context: PlanContext | None = None) -> Tensor:
    """Gradient of the plan's loss in expectation over all groups of two, summed over a group.

    As ``oracle.expected_gradient`` for methods whose rollouts depend on their group: reduce by ``token_sum``.
    """
    table, rows = groups.table(), groups.state_rows()
    (plan,) = objective.plan(table, context or PlanContext())
    scale = groups.probability(groups.chain.logits).detach()[table.rollouts["group"][table["rollout"]]]
    loss = plan_loss(plan, groups.chain.logits[rows], targets={"teacher": groups.chain.teacher[rows]}, scale=scale)
    return torch.autograd.grad(loss, groups.chain.logits)[0]


def policy_gradient_claim(groups: Groups, advantage: Callable[[int, int], Sequence[float]]) -> Tensor:
    """Gradient of -E[sum_t A_t log pi_S(y_t)] summed over both rollouts of a group, A and the expectation frozen.

    Args:
        advantage: (own sequence, the other's) -> one number a token.
    """
    chain = groups.chain
    live = chain.logits.log_softmax(1)
    each = chain.sequence_logprob(chain.logits).exp().detach()
    total = live.new_zeros(())
    for i, sequence in enumerate(chain.sequences):
        logprobs = [live[chain.row_of(sequence[:t]), token] for t, token in enumerate(sequence)]
        for j in range(len(chain.sequences)):
            numbers = advantage(i, j)
            total = total - 2 * each[i] * each[j] * sum(a * l for a, l in zip(numbers, logprobs, strict=True))
    return torch.autograd.grad(total, chain.logits)[0]


def standardised(groups: Groups, i: int, j: int) -> float:
    """GRPO's advantage of sequence i in a group with sequence j."""
    half = float(groups.rewards[i] - groups.rewards[j]) / 2
    return half / (abs(half) * math.sqrt(2) + 1e-6)


def turns_of(groups: Groups, sequence: Sequence[int]) -> list[list[int]]:
    """Indices of the tokens of each turn."""
    cut = len(sequence) if groups.first_turn is None else groups.first_turn
    indices = list(range(len(sequence)))
    return [turn for turn in (indices[:cut], indices[cut:]) if turn]


def logprobs_of(groups: Groups, number: int) -> tuple[list[float], list[float]]:
    """The student's and the teacher's log-prob of each token of a sequence."""
    chain, sequence = groups.chain, groups.chain.sequences[number]
    sides = chain.logits.detach().log_softmax(1), chain.teacher.log_softmax(1)
    student, teacher = ([float(side[chain.row_of(sequence[:t]), v]) for t, v in enumerate(sequence)] for side in sides)
    return student, teacher
