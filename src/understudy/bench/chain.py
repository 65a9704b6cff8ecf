"""Two policies on a chain so small that every sequence can be enumerated, and the policy gradient's exact moments.

The state is the last token; student and teacher are tables of logits, one row a state. The sampled gradient of a
sequence y with discount gamma is g = -sum_t (sum_{k >= t} gamma^(k - t) A_k) grad log pi_S(y_t | s_t), A_k = log pi_T -
log pi_S at y_k. With gamma 1 its expectation is the gradient of KL(S||T) over whole sequences; with gamma 0 it is the
token-level gradient of on-policy distillation (identity 14 of docs/methods/identities.md).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.randomness import uniform


@dataclass(frozen=True, eq=False)
class Chain:
    """Student and teacher.

    Args:
        student, teacher: [V, V] float64 logits of the next token; the row is the last token, 0 before the first.
    """

    student: Tensor
    teacher: Tensor

    @property
    def vocabulary(self) -> int:
        """Number of tokens, V."""
        return self.student.shape[0]


@dataclass(frozen=True)
class Moments:
    """Of the sampled gradient of one sequence, exact.

    Args:
        bias: Euclidean norm of its expectation minus the gradient of the sequence's reverse KL.
        signal: norm of that gradient. variance: trace of its covariance.
        bound: (A G sum_t sum_{k >= t} gamma^(k - t))^2 with A the largest |A_k| and G the largest |grad log pi_S|; no
            second moment exceeds it. It grows as T^2 with gamma 0 and as T^4 with gamma 1.
    """

    bias: float
    signal: float
    variance: float
    bound: float


def random_chain(seed: int, *, vocabulary: int = 3, spread: float = 2.0) -> Chain:
    """Logits uniform within ``spread`` nats, a draw of their own for every seed."""
    cells = torch.arange(vocabulary * vocabulary)
    draws = [
        uniform(seed=seed, step=0, purpose=f"bench/chain/{who}", rollout=0, index=cells)
        for who in ("student", "teacher")
    ]
    student, teacher = (spread * draw.reshape(vocabulary, vocabulary) for draw in draws)
    return Chain(student, teacher)


def sequences(vocabulary: int, length: int) -> Int[Tensor, "p t"]:
    """All sequences of that length."""
    return torch.tensor(list(itertools.product(range(vocabulary), repeat=length)), dtype=torch.int64)


def sampled_gradients(
    chain: Chain, tokens: Int[Tensor, "p t"], *, discount: float
) -> tuple[Float[Tensor, "p"], Float[Tensor, "p w"]]:
    """The probability of each sequence, and the gradient it would give with respect to the student's V x V logits."""
    student, teacher = chain.student.log_softmax(1), chain.teacher.log_softmax(1)
    states = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], dim=1)
    own, theirs = student[states, tokens], teacher[states, tokens]
    to_go = _to_go(theirs - own, discount=discount)
    size = chain.vocabulary
    # grad log pi_S(y | s) is 1 at (s, y) minus pi_S(. | s) along the row of s.
    taken = torch.zeros(tokens.shape[0], size * size, dtype=student.dtype)
    taken.scatter_add_(1, states * size + tokens, to_go)
    visits = torch.zeros(tokens.shape[0], size, dtype=student.dtype).scatter_add_(1, states, to_go)
    expected = (visits[:, :, None] * student.exp()[None]).flatten(1)
    return own.sum(1).exp(), expected - taken


def moments(chain: Chain, length: int, *, discount: float) -> Moments:
    """Bias and variance of the sampled gradient of one sequence, over all sequences of that length."""
    tokens = sequences(chain.vocabulary, length)
    probability, gradients = sampled_gradients(chain, tokens, discount=discount)
    _, whole = sampled_gradients(chain, tokens, discount=1.0)
    mean, target = probability @ gradients, probability @ whole
    variance = probability @ (gradients - mean).square().sum(1)
    return Moments(
        bias=float((mean - target).norm()),
        signal=float(target.norm()),
        variance=float(variance),
        bound=second_moment_bound(chain, length, discount=discount),
    )


def second_moment_bound(chain: Chain, length: int, *, discount: float) -> float:
    """The bound of ``Moments``."""
    student, teacher = chain.student.log_softmax(1), chain.teacher.log_softmax(1)
    largest = float((teacher - student).abs().max())
    steps = sum(sum(discount ** (k - t) for k in range(t, length)) for t in range(length))
    return (largest * largest_score(student) * steps) ** 2


def largest_score(student: Float[Tensor, "s v"]) -> float:
    """The largest norm of grad log pi_S(y | s) over all states and tokens."""
    chance = student.exp()
    norms = chance.square().sum(1, keepdim=True) - 2 * chance + 1
    return float(norms.max().sqrt())


def _to_go(signal: Float[Tensor, "p t"], *, discount: float) -> Float[Tensor, "p t"]:
    summed = signal.clone()
    for place in range(signal.shape[1] - 2, -1, -1):
        summed[:, place] += discount * summed[:, place + 1]
    return summed
