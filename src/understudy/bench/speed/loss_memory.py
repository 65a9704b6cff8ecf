"""Peak memory of the loss and its gradient by number of tokens, ours against a plain log-softmax, a process each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from understudy.bench.speed.resident import forget_peak_memory, peak_memory
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.row_terms import RowTerm
from understudy.plans import Divergence, Likelihood
from understudy.tokens import Hidden

VOCABULARY, WIDTH, CHUNK_ROWS = 32768, 256, 512
ROWS = (512, 2048, 8192)
LOSSES = ("opd", "gkd")
SIDES = ("ours", "naive")


@dataclass(frozen=True)
class Peak:
    """Most memory during forward and backward, above what the process held before."""

    mib: float


def measure(loss: str, side: str, rows: int) -> Peak:
    """The peak of one loss on ``rows`` rows: sampled-token policy gradient, or full-vocabulary reverse KL."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    student, teacher = small_head(), small_head()
    hidden = torch.randn(rows, WIDTH, requires_grad=True)
    states, ids = torch.randn(rows, WIDTH), torch.randint(VOCABULARY, (rows,))
    evaluate = FORMS[side]
    evaluate(loss, student, teacher, hidden[:16], states[:16], ids[:16]).backward()
    student.module.weight.grad = hidden.grad = None
    held = forget_peak_memory()
    evaluate(loss, student, teacher, hidden, states, ids).backward()
    return Peak(peak_memory() - held)


def through_the_head(loss: str, student: Head, teacher: Head, hidden: Tensor, states: Tensor, ids: Tensor) -> Tensor:
    """The loss as training computes it."""
    count = hidden.shape[0]
    weights, index = torch.full((count,), 1 / count), torch.arange(count)
    if loss == "opd":
        term = RowTerm("opd", index, weights, Likelihood(torch.ones(count, 1)), ids=ids[:, None])
    else:
        term = RowTerm("gkd", index, weights, Divergence("reverse"), target=Hidden(states, teacher.constant))
    return head_loss(hidden, student, [term], chunk_rows=CHUNK_ROWS)[0]


def naive(loss: str, student: Head, teacher: Head, hidden: Tensor, states: Tensor, ids: Tensor) -> Tensor:
    """The loss as its formula stands, with all logits at once."""
    live = student(hidden).log_softmax(-1)
    if loss == "opd":
        return -live.gather(1, ids[:, None]).mean()
    target = teacher.constant(states).log_softmax(-1)
    return (live.exp() * (live - target)).sum(1).mean()


def small_head() -> Head:
    """Random, of ``VOCABULARY`` ids over ``WIDTH``."""
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=4
    )
    return Head(Qwen3ForCausalLM(config), vocab_size=VOCABULARY)


Form = Callable[[str, Head, Head, Tensor, Tensor, Tensor], Tensor]
FORMS: dict[str, Form] = {"ours": through_the_head, "naive": naive}
"""The loss by the names of ``SIDES``."""
