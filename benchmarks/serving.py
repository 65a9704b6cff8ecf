"""What scoring over HTTP costs: ``understudy serve`` under concurrent clients against the scorer in one process.

python -m benchmarks.serving                        # 32 clients, five rounds that take turns
python -m benchmarks.serving --size B32 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import torch
from torch import Tensor

from understudy.bench.speed.workload import SIZES, write_workload
from understudy.engines.local import LocalScorer
from understudy.models.load import load_model
from understudy.protocols import ScoreRequest

BOUND = 0.8
"""Share of the in-process throughput that the server must reach."""


@dataclass(frozen=True)
class Work:
    """What both sides score.

    Args:
        contexts: [L] int64 ids each. start: rows predict tokens start + 1 .. L - 1.
        ids: [R, K] of each context, the tokens that stand there in column 0.
    """

    contexts: Sequence[Tensor]
    start: int
    ids: Sequence[Tensor]

    @property
    def num_rows(self) -> int:
        """Tokens that are scored."""
        return sum(ids.shape[0] for ids in self.ids)


@dataclass(frozen=True)
class Round:
    """One round on each side.

    Args:
        local, served: wall seconds. local_cpu, served_cpu: processor seconds of the process that has the model, all
            threads together; they hold on a machine with other work, where wall seconds do not.
        difference: the largest between the log-probs of both, nats.
    """

    local: float
    served: float
    local_cpu: float
    served_cpu: float
    difference: float

    @property
    def ratio(self) -> float:
        """Throughput of the server over that of the process."""
        return self.local / self.served

    @property
    def cpu_ratio(self) -> float:
        """The same in processor seconds."""
        return self.local_cpu / self.served_cpu


@dataclass(frozen=True)
class Running:
    """A server: its address and its process."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor seconds so far (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def work_of(count: int, *, vocab_size: int, k: int, prompt: int = 48, response: int = 128) -> Work:
    """Random contexts of unlike lengths, ``k`` ids a row."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(prompt + response // 2, prompt + response + 1, (count,), generator=generator).tolist()
    contexts = [torch.randint(1, vocab_size, (length,), generator=generator) for length in lengths]
    chosen = [torch.randint(0, vocab_size, (length - prompt, k), generator=generator) for length in lengths]
    for context, ids in zip(contexts, chosen, strict=True):
        ids[:, 0] = context[prompt:]
    return Work(contexts, prompt - 1, chosen)


def score_here(scorer: LocalScorer, work: Work) -> list[Tensor]:
    """All contexts in one call; [R, K] log-probs of each."""
    sizes = [ids.shape[0] for ids in work.ids]
    request = ScoreRequest(
        contexts=work.contexts,
        context=torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
        position=torch.cat([torch.arange(work.start + 1, len(context)) for context in work.contexts]),
        ids=torch.cat(list(work.ids)),
    )
    at_ids = scorer.score(request).at_ids
    assert at_ids is not None
    return list(at_ids.split(sizes))


async def score_there(url: str, work: Work, *, clients: int) -> list[Tensor]:
    """Each context in a request of its own, so many at a time, each client with its own connection."""
    places = iter(range(len(work.contexts)))
    found: dict[int, Tensor] = {}

    # One session with a connection a client: to make a session costs more than to score a context.
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as session:

        async def one_client() -> None:
            for place in places:
                found[place] = await _ask(session, work, place)

        await asyncio.gather(*(one_client() for _ in range(clients)))
    return [found[place] for place in range(len(work.contexts))]


async def _ask(client: httpx.AsyncClient, work: Work, place: int) -> Tensor:
    params = {
        "max_tokens": 0,
        "prompt_logprob_start": work.start,
        "prompt_logprob_token_ids": work.ids[place].tolist(),
    }
    body = {"token_ids": work.contexts[place].tolist(), "sampling_params": params}
    response = await client.post("/inference/v1/generate", json=body)
    response.raise_for_status()
    content = base64.b64decode(response.json()["prompt_token_id_logprobs"])
    return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))


def measure(server: Running, scorer: LocalScorer, work: Work, *, clients: int, rounds: int) -> list[Round]:
    """Rounds that take turns, after one that is thrown away."""
    found = []
    for _ in range(1 + rounds):
        began, began_cpu = time.perf_counter(), time.process_time()
        here = score_here(scorer, work)
        between, between_cpu, server_cpu = time.perf_counter(), time.process_time(), server.cpu_seconds()
        there = asyncio.run(score_there(server.url, work, clients=clients))
        ended, served_cpu = time.perf_counter(), server.cpu_seconds() - server_cpu
        worst = max(float((one - other).abs().max()) for one, other in zip(here, there, strict=True))
        found.append(Round(between - began, ended - between, between_cpu - began_cpu, served_cpu, worst))
    return found[1:]


@contextmanager
def server_of(model: Path, *, threads: int) -> Iterator[Running]:
    """``understudy serve`` in a process of its own."""
    ready = model.parent / "ready"
    command = [sys.executable, "-m", "understudy", "serve", str(model), "--port", "0"]
    command += ["--threads", str(threads), "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise RuntimeError("the server did not start")
                time.sleep(0.1)
            yield Running(ready.read_text().strip(), process.pid)
        finally:
            process.terminate()


def main() -> None:
    """Measure and print a line a round, and the median of the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--size", choices=SIZES, default="S", help="a workload of bench speed; its teacher is scored")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--contexts", type=int, default=256, help="scored in a round, one a request")
    parser.add_argument("--k", type=int, default=16, help="ids a row")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of either side's model")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    size = SIZES[given.size]
    work = work_of(given.contexts, vocab_size=size.vocab_size, k=given.k)
    with tempfile.TemporaryDirectory() as folder:
        write_workload(Path(folder), size)
        model = Path(folder) / "teacher"
        scorer = LocalScorer(load_model(model))
        with server_of(model, threads=given.threads) as server:
            found = measure(server, scorer, work, clients=given.clients, rounds=given.rounds)
    for one in found:
        rates = f"{work.num_rows / one.local:,.0f} rows/s here, {work.num_rows / one.served:,.0f} served"
        print(f"{rates}, ratio {one.ratio:.3f} (processor {one.cpu_ratio:.3f}), differ by {one.difference:.1e} nats")
    for name, ratios in {"wall": [one.ratio for one in found], "processor": [one.cpu_ratio for one in found]}.items():
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"{given.clients} clients, {name}: median {statistics.median(ratios):.3f} ({spread}), bound {BOUND}")


if __name__ == "__main__":
    main()
