"""The head's share of a step: seconds of loss forward and backward over those of the bare products, and peak memory.

Each loss and each way of computing it has a process of its own; there the three matrix products that any way must
make (logits = hidden @ W.T, their gradient @ W, their gradient.T @ hidden) and the loss take turns.

python -m benchmarks.head                                       # every loss, ours alone, a small shape
python -m benchmarks.head --tokens 4096 --vocab 151936 --width 1024 --sides ours naive checkpointed
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from understudy.bench.speed.resident import forget_peak_memory, peak_memory
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.row_terms import RowTerm
from understudy.plans import Divergence, Likelihood, RowLoss
from understudy.tokens import Hidden

LOSSES = ("opd", "top_k", "full")
SIDES = ("ours", "naive", "checkpointed")
TOP_K = 64


@dataclass(frozen=True)
class Shape:
    """What is measured.

    Args:
        tokens: rows. vocab, width: of the head. chunk_rows: rows of logits at a time. threads: of torch.
        rounds: measured turns. seed: of the random numbers.
        clock: ``wall``, or ``cpu``: seconds of this process's threads, which others on the machine delay less.
    """

    tokens: int = 1024
    vocab: int = 32768
    width: int = 512
    chunk_rows: int = 512
    threads: int = 1
    rounds: int = 3
    seed: int = 0
    clock: str = "wall"


@dataclass(frozen=True)
class Measured:
    """Medians of one way of one loss: seconds, the ratio of each turn's pair, and MiB above what stood before."""

    seconds: float
    products: float
    ratio: float
    extra_mib: float


@dataclass(frozen=True, eq=False)
class Work:
    """One batch: student's and teacher's heads and hidden states, and k ids a row with teacher's log-probs there."""

    shape: Shape
    student: Head
    teacher: Head
    hidden: Tensor
    states: Tensor
    ids: Tensor
    target: Tensor


def measure_apart(loss: str, side: str, shape: Shape) -> Measured:
    """``measure`` in a fresh process."""
    options = [part for name, value in asdict(shape).items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "benchmarks.head", "--one", loss, side, *options]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def measure(loss: str, side: str, shape: Shape) -> Measured:
    """Products and loss in turns, after one small turn of each."""
    torch.set_num_threads(shape.threads)
    torch.manual_seed(shape.seed)
    work = _work(shape)
    evaluate = {"ours": _ours, "naive": _naive, "checkpointed": _checkpointed}[side]
    _forward_backward(evaluate, loss, _first_rows(work, 16))
    held = forget_peak_memory()
    _forward_backward(evaluate, loss, work)
    extra = peak_memory() - held
    seconds, products = [], []
    for _ in range(shape.rounds):
        products.append(_three_products(work))
        start = _now(shape)
        _forward_backward(evaluate, loss, work)
        seconds.append(_now(shape) - start)
    ratio = statistics.median(mine / bare for mine, bare in zip(seconds, products, strict=True))
    return Measured(statistics.median(seconds), statistics.median(products), ratio, extra)


def _forward_backward(evaluate: Callable[[str, Work], Tensor], loss: str, work: Work) -> None:
    work.hidden.grad = work.student.weight.grad = None
    evaluate(loss, work).backward()
    work.hidden.grad = work.student.weight.grad = None


def _now(shape: Shape) -> float:
    return time.perf_counter() if shape.clock == "wall" else time.process_time()


def _three_products(work: Work) -> float:
    """Seconds, in chunks and into buffers that stand ready and have been written before."""
    weight, size = work.student.weight.detach(), work.shape.chunk_rows
    hidden = work.hidden.detach()
    logits, grad_weight = torch.ones(size, weight.shape[0]), torch.ones_like(weight)
    grad_hidden = torch.ones(size, weight.shape[1])
    spent = 0.0
    for start in range(0, hidden.shape[0], size):
        rows = hidden[start : start + size]
        mine, into = logits[: rows.shape[0]], grad_hidden[: rows.shape[0]]
        begin = _now(work.shape)
        torch.mm(rows, weight.T, out=mine)
        torch.mm(mine, weight, out=into)
        torch.mm(mine.T, rows, out=grad_weight)
        spent += _now(work.shape) - begin
    return spent


def _ours(loss: str, work: Work) -> Tensor:
    count = work.hidden.shape[0]
    row_loss: RowLoss = Divergence("reverse", work.target) if loss == "top_k" else Divergence("reverse")
    ids, target = (work.ids, None) if loss == "top_k" else (None, Hidden(work.states, work.teacher.constant))
    if loss == "opd":
        row_loss, ids, target = Likelihood(torch.ones(count, 1)), work.ids[:, :1], None
    term = RowTerm(loss, torch.arange(count), torch.full((count,), 1 / count), row_loss, ids=ids, target=target)
    return head_loss(work.hidden, work.student, [term], chunk_rows=work.shape.chunk_rows)[0]


def _naive(loss: str, work: Work) -> Tensor:
    return _dense(loss, work, 0, work.hidden.shape[0]) / work.hidden.shape[0]


def _checkpointed(loss: str, work: Work) -> Tensor:
    count, size = work.hidden.shape[0], work.shape.chunk_rows
    parts = [
        checkpoint(_dense, loss, work, start, start + size, use_reentrant=False) for start in range(0, count, size)
    ]
    return torch.stack(parts).sum() / count


def _dense(loss: str, work: Work, start: int, stop: int) -> Tensor:
    """The plain way: log-softmax and autograd."""
    live = work.student(work.hidden[start:stop]).log_softmax(-1)
    if loss == "opd":
        return -live.gather(1, work.ids[start:stop, :1]).sum()
    if loss == "top_k":
        live, target = live.gather(1, work.ids[start:stop]), work.target[start:stop]
    else:
        target = work.teacher.constant(work.states[start:stop]).log_softmax(-1)
    return (live.exp() * (live - target)).sum()


def _work(shape: Shape) -> Work:
    student, teacher = _head(shape), _head(shape)
    hidden = torch.randn(shape.tokens, shape.width, requires_grad=True)
    ids = torch.rand(shape.tokens, TOP_K).mul_(shape.vocab // TOP_K).long()
    ids += torch.arange(TOP_K) * (shape.vocab // TOP_K)  # distinct in a row
    target = torch.randn(shape.tokens, TOP_K).log_softmax(1)
    return Work(shape, student, teacher, hidden, torch.randn(shape.tokens, shape.width), ids, target)


def _first_rows(work: Work, count: int) -> Work:
    hidden = work.hidden[:count].detach().requires_grad_()
    cut = (work.states[:count], work.ids[:count], work.target[:count])
    return Work(work.shape, work.student, work.teacher, hidden, *cut)


def _head(shape: Shape) -> Head:
    return Head(_HeadAlone(shape), vocab_size=shape.vocab)


class _HeadAlone(nn.Module):
    """What ``Head`` reads of a model, without the model."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.lm_head = nn.Linear(shape.width, shape.vocab, bias=False)
        self.config = self

    def get_text_config(self) -> _HeadAlone:
        return self

    def get_output_embeddings(self) -> nn.Linear:
        return self.lm_head


def main() -> None:
    """Print a table; with ``--one LOSS SIDE`` one line of JSON."""
    given, shape = _arguments()
    if given.one:
        print(json.dumps(asdict(measure(*given.one, shape))))
        return
    print("| loss | way | seconds | three products | ratio | extra MiB |\n|---|---|---|---|---|---|", flush=True)
    for loss in given.losses:
        for side in given.sides:
            one = measure_apart(loss, side, shape)
            cells = f"{one.seconds:.2f} | {one.products:.2f} | {one.ratio:.2f} | {one.extra_mib:.0f}"
            print(f"| {loss} | {side} | {cells} |", flush=True)


def _arguments() -> tuple[argparse.Namespace, Shape]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.head", description="The head's loss over its products.")
    parser.add_argument("--losses", nargs="*", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=["ours"])
    parser.add_argument("--one", nargs=2, metavar=("LOSS", "SIDE"), help=argparse.SUPPRESS)
    for name, value in asdict(Shape()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = parser.parse_args()
    return given, Shape(**{name: getattr(given, name) for name in asdict(Shape())})


if __name__ == "__main__":
    main()
