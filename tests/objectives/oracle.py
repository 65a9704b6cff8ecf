"""A tabular student and teacher small enough to enumerate every sequence they can write, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext
from understudy.objectives.objective import Objective
from understudy.objectives.row_losses import evaluate, evaluate_full
from understudy.plans import Full, LossPlan
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, Hidden, TokenTable, Wide, batch_of

STOP = 0


def plan_loss(
    plan: LossPlan, logits: Tensor, *, targets: dict[str, Tensor] | None = None, scale: Tensor | None = None
) -> Tensor:
    """The plan's loss with dense logits [N, V]; ``scale`` [N] multiplies each row's weight (an expectation)."""
    live = (logits / plan.temperature).log_softmax(1)
    total = logits.new_zeros(())
    for term in plan.terms:
        rows = live[term.rows]
        if isinstance(term.support, Full):
            target = ((targets or {})[term.support.scorer][term.rows] / plan.temperature).log_softmax(1)
            values = evaluate_full(term.row_loss, rows, target)
        else:
            values = evaluate(term.row_loss, rows.gather(1, term.support.ids), valid=term.support.valid)
        weights = term.weights if scale is None else term.weights * scale[term.rows]
        total = total + (weights * values).sum()
    return total


@dataclass
class Chain:
    """Every sequence over ``vocabulary`` tokens of at most ``length`` (token 0 ends one), with tabular logits.

    Args:
        logits: [P, V] of the student, one row a prefix. teacher: [P, V]. reference: [P, V]; None: the student's.
    """

    vocabulary: int
    length: int
    logits: Tensor
    teacher: Tensor
    reference: Tensor | None = None

    @property
    def prefixes(self) -> list[tuple[int, ...]]:
        tokens = range(1, self.vocabulary)
        return [p for size in range(self.length) for p in itertools.product(tokens, repeat=size)]

    @property
    def sequences(self) -> list[tuple[int, ...]]:
        ended = [(*prefix, STOP) for prefix in self.prefixes]
        cut = list(itertools.product(range(1, self.vocabulary), repeat=self.length))
        return ended + cut

    def row_of(self, prefix: Sequence[int]) -> int:
        return self.prefixes.index(tuple(prefix))

    def state_rows(self) -> Tensor:
        """The prefix's row of every token of every sequence, in table order."""
        return torch.tensor([self.row_of(s[:t]) for s in self.sequences for t in range(len(s))])

    def sequence_logprob(self, logits: Tensor) -> Tensor:
        logprobs = logits.log_softmax(1)
        return torch.stack([sum(logprobs[self.row_of(s[:t]), s[t]] for t in range(len(s))) for s in self.sequences])

    def reach(self, logits: Tensor) -> Tensor:
        """Probability of visiting each prefix."""
        logprobs = logits.log_softmax(1)
        return torch.stack(
            [
                sum((logprobs[self.row_of(p[:t]), p[t]] for t in range(len(p))), torch.zeros(())).exp()
                for p in self.prefixes
            ]
        )

    def batch(self, origin: Origin) -> Batch:
        rollouts = [rollout_of(s, key=i, group=i, origin=origin) for i, s in enumerate(self.sequences)]
        return batch_of(rollouts, contexts_of(rollouts))

    def filled(self, batch: Batch, *, k: int = 2) -> TokenTable:
        """The table with every column that a scorer could give."""
        rows, table = self.state_rows(), batch.table
        student, teacher = self.logits.detach().log_softmax(1)[rows], self.teacher.log_softmax(1)[rows]
        reference = None if self.reference is None else self.reference.log_softmax(1)[rows]
        return fill(table, student=student, teacher=teacher, k=k, behaviour=student, reference=reference)


def make_chain(seed: int, *, vocabulary: int = 3, length: int = 3) -> Chain:
    chain = Chain(vocabulary, length, torch.zeros(0), torch.zeros(0))
    generator = torch.Generator().manual_seed(seed)
    shape = (len(chain.prefixes), vocabulary)
    chain.logits = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    chain.teacher = torch.randn(shape, generator=generator, dtype=torch.float64)
    return chain


def rollout_of(
    sequence: Sequence[int], *, key: int, group: int, origin: Origin, prompt: Sequence[int] = (1,)
) -> Rollout:
    ids = torch.tensor(sequence, dtype=torch.int64)
    turn = Turn(
        prompt_ids=torch.tensor(prompt, dtype=torch.int64),
        completion_ids=ids,
        origin=torch.full_like(ids, origin),
        behaviour_logprob=torch.full(ids.shape, float("nan")),
        weight_version=torch.full_like(ids, -1),
        finish_reason=FinishReason.STOP,
    )
    return Rollout(key=key, group=group, problem=str(key), turns=(turn,), finish_reason=FinishReason.STOP)


def fill(
    table: TokenTable,
    *,
    student: Tensor,
    teacher: Tensor,
    behaviour: Tensor,
    k: int,
    reference: Tensor | None = None,
) -> TokenTable:
    """Columns from dense log-probs [N, V] of student, teacher, the sampler, and the reference (else the student's)."""

    def at(logprobs: Tensor, ids: Tensor) -> Tensor:
        return logprobs.gather(1, ids)

    token = table["token_id"][:, None]
    teacher_top, student_top = teacher.topk(k), student.topk(k)
    return (
        table.with_tokens(
            student_logprob=at(student, token)[:, 0],
            teacher_logprob=at(teacher, token)[:, 0],
            behaviour_logprob=at(behaviour, token)[:, 0],
            reference_logprob=at(student if reference is None else reference, token)[:, 0],
            student_entropy=-(student.exp() * student).sum(1),
            teacher_entropy=-(teacher.exp() * teacher).sum(1),
        )
        .with_wide(
            teacher_top_k=Wide(teacher_top.indices, teacher_top.values),
            student_top_k=Wide(student_top.indices, student_top.values),
            teacher_at_student_top_k=Wide(student_top.indices, at(teacher, student_top.indices)),
            student_at_teacher_top_k=Wide(teacher_top.indices, at(student, teacher_top.indices)),
        )
        .with_hidden(teacher=Hidden(teacher, lambda states: states), student=Hidden(student, lambda states: states))
    )


def graded(table: TokenTable) -> dict[str, Tensor]:
    """The rollouts of a table in groups of two, each with its own reward; some solved their task."""
    number = torch.arange(table.num_rollouts)
    reward = (number * 7 % 5) / 4
    return {**table.rollouts, "group": number // 2, "reward": reward, "correct": (reward > 0.5).float()}


def expected_gradient(
    objective: Objective,
    chain: Chain,
    *,
    origin: Origin,
    probability: Tensor,
    context: PlanContext | None = None,
    k: int = 2,
) -> Tensor:
    """Gradient of the plan's loss in expectation over all sequences, each weighted by its probability.

    Wide columns hold ``k`` ids.

    The objective must reduce by ``token_sum``, so that rows of one sequence do not depend on the others.
    """
    batch = chain.batch(origin)
    table, rows = chain.filled(batch, k=k), chain.state_rows()
    (plan,) = objective.plan(table, context or PlanContext())
    scale = probability.detach()[table["rollout"]]
    loss = plan_loss(plan, chain.logits[rows], targets={"teacher": chain.teacher[rows]}, scale=scale)
    return torch.autograd.grad(loss, chain.logits)[0]


def gradient_of(claim: Callable[[Tensor], Tensor], chain: Chain) -> Tensor:
    """Gradient of what a docstring claims, as a function of the student's logits."""
    return torch.autograd.grad(claim(chain.logits), chain.logits)[0]
