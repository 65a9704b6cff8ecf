"""Peak memory of the loss and its gradient by number of tokens, ours against a plain log-softmax, a process each."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.phases import forget_peak_memory, peak_memory
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.row_terms import RowTerm
from understudy.plans import Divergence, Likelihood
from understudy.tokens import Hidden

VOCABULARY, WIDTH, CHUNK_ROWS = 32768, 256, 512
ROWS = (512, 2048, 8192)
LOSSES = ("opd", "gkd")


def peak_apart(loss: str, side: str, rows: int) -> float:
    """MiB above what the process held before the loss: forward and backward together."""
    command = [sys.executable, "-m", "benchmarks.loss_memory", loss, side, str(rows)]
    root = Path(__file__).parents[1]
    return float(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()[-1])


def run(loss: str, side: str, rows: int) -> float:
    """The peak of one loss on ``rows`` rows: sampled-token policy gradient, or full-vocabulary reverse KL."""
    torch.manual_seed(0)
    student, teacher = _head(), _head()
    hidden = torch.randn(rows, WIDTH, requires_grad=True)
    states, ids = torch.randn(rows, WIDTH), torch.randint(VOCABULARY, (rows,))
    evaluate = _ours if side == "ours" else _naive
    evaluate(loss, student, teacher, hidden[:16], states[:16], ids[:16]).backward()
    student.module.weight.grad = hidden.grad = None
    held = forget_peak_memory()
    evaluate(loss, student, teacher, hidden, states, ids).backward()
    return peak_memory() - held


def _ours(loss: str, student: Head, teacher: Head, hidden: Tensor, states: Tensor, ids: Tensor) -> Tensor:
    count = hidden.shape[0]
    weights, index = torch.full((count,), 1 / count), torch.arange(count)
    if loss == "opd":
        term = RowTerm("opd", index, weights, Likelihood(torch.ones(count, 1)), ids=ids[:, None])
    else:
        term = RowTerm("gkd", index, weights, Divergence("reverse"), target=Hidden(states, teacher.constant))
    return head_loss(hidden, student, [term], chunk_rows=CHUNK_ROWS)[0]


def _naive(loss: str, student: Head, teacher: Head, hidden: Tensor, states: Tensor, ids: Tensor) -> Tensor:
    live = student(hidden).log_softmax(-1)
    if loss == "opd":
        return -live.gather(1, ids[:, None]).mean()
    target = teacher.constant(states).log_softmax(-1)
    return (live.exp() * (live - target)).sum(1).mean()


def _head() -> Head:
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=4
    )
    return Head(Qwen3ForCausalLM(config), vocab_size=VOCABULARY)


def main() -> None:
    """Print one peak in MiB."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loss_memory")
    parser.add_argument("loss", choices=LOSSES)
    parser.add_argument("side", choices=("ours", "naive"))
    parser.add_argument("rows", type=int)
    print(run(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
