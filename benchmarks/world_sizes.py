"""Seconds and processor seconds of an update by the number of ranks: ``python -m benchmarks.world_sizes``.

The same update in one process and on ranks of this machine, over gloo, one thread each, in turn in every round, so
that other work on it meets all alike. A random model of Qwen3's architecture; every rank has its share of the rollouts.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time

LAYOUTS = {"one process": (1, 1), "1 rank": (1, 1), "2 ranks": (2, 1), "2 peers": (2, 2)}
"""(ranks, of which so many divide products); the first is the local engine."""
_ROLLOUTS, _PROMPT, _COMPLETION, _VOCABULARY, _STEPS = 16, 48, 80, 4096, 4


def main(rounds: int) -> None:
    """Every layout in every round; prints a table in Markdown, medians with the lowest and highest round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in LAYOUTS}
    for number in range(rounds):
        for name in LAYOUTS:
            found[name].append(_measured(name))
            print(f"round {number + 1}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    alone = found["one process"]
    tokens = _ROLLOUTS * (_PROMPT + _COMPLETION)
    print("| | seconds an update | tokens a second | seconds, ratio | processor seconds, all ranks | ratio |")
    print("|---|---|---|---|---|---|")
    for name, rows in found.items():
        wall, work = ([row[key] for row in rows] for key in ("seconds", "cpu"))
        ratios = [
            _spread([row[key] / other[key] for row, other in zip(rows, alone, strict=True)])
            for key in ("seconds", "cpu")
        ]
        cells = [_spread(wall), f"{tokens / statistics.median(wall):,.0f}", ratios[0], _spread(work), ratios[1]]
        print(f"| {name} | {' | '.join(cells)} |")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _measured(name: str) -> dict[str, float]:
    """Median seconds of the updates after the first, and processor seconds of all ranks together."""
    ranks, peers = LAYOUTS[name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    command = [sys.executable, "-m", "benchmarks.world_sizes", "rank", name, str(peers)]
    started = [
        subprocess.Popen(command, env=shared | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(ranks)
    ]
    told = [process.communicate()[0].splitlines() for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"{name}: a rank failed")
    rows = [json.loads(lines[-1]) for lines in told]
    return {"seconds": max(row["seconds"] for row in rows), "cpu": sum(row["cpu"] for row in rows)}


def rank(name: str, peers: int) -> None:
    """What one rank takes, as a line of JSON."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from understudy.engines.cluster import ClusterPolicy, join
    from understudy.engines.local import LocalPolicy, OptimizerConfig
    from understudy.models.load import describe

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=_VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        tie_word_embeddings=True,
    )
    loaded = describe(Qwen3ForCausalLM(config), None)
    options = {"optimizer": OptimizerConfig(learning_rate=1e-4), "total_updates": _STEPS}
    if name == "one process":
        policy, place, size = LocalPolicy(loaded, **options), 0, 1  # type: ignore[arg-type]
    else:
        group = join("cpu", tensor_parallel=peers)
        policy, place, size = ClusterPolicy(loaded, group=group, **options), group.rank, group.size
    batch, plan = _work(place, size)
    seconds, cpu = [], []
    for _ in range(_STEPS):
        began, worked = time.perf_counter(), time.process_time()
        policy.update(batch, plan)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "cpu": statistics.median(cpu[1:])}), flush=True)


def _work(place: int, size: int):  # type: ignore[no-untyped-def]
    """This rank's rollouts, all of one length, and a plan that takes the likelihood of their tokens."""
    import torch

    from understudy.plans import Ids, Likelihood, LossPlan, LossTerm
    from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
    from understudy.tokens import batch_of

    generator = torch.Generator().manual_seed(place)
    rollouts = []
    for key in range(place, _ROLLOUTS, size):
        ids = torch.randint(2, _VOCABULARY, (_PROMPT + _COMPLETION,), generator=generator)
        turn = Turn(
            prompt_ids=ids[:_PROMPT],
            completion_ids=ids[_PROMPT:],
            origin=torch.full((_COMPLETION,), Origin.STUDENT),
            behaviour_logprob=torch.full((_COMPLETION,), -2.0),
            weight_version=torch.zeros(_COMPLETION, dtype=torch.int64),
            finish_reason=FinishReason.STOP,
        )
        rollouts.append(Rollout(key=key, group=key, problem="p", turns=(turn,), finish_reason=FinishReason.STOP))
    batch = batch_of(rollouts, contexts_of(rollouts))
    count = batch.table.num_tokens
    every = torch.arange(count)
    loss = Likelihood(torch.ones(count, 1))
    term = LossTerm("nll", every, torch.full((count,), 1e-3), loss, Ids(batch.table["token_id"][:, None]))
    return batch, LossPlan([term])


if __name__ == "__main__":
    if sys.argv[1:2] == ["rank"]:
        rank(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3)
