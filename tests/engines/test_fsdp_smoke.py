"""Two gloo ranks: the loss inside a wrapped FSDP2 forward gives the gradients of one process, also with idle ranks."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from tests.conformance.tiny import VOCAB, every_term, tiny_batch, tiny_model
from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.engines.local.shares import Share, shares_of
from understudy.models.forward import MicroBatch
from understudy.models.load import describe
from understudy.models.loss_module import LossModule
from understudy.plans import LossPlan, LossTerm
from understudy.tokens import Batch

CPU = torch.device("cpu")
CASES = [(True, False), (False, True), (True, True)]  # tied head; all rows on rank 0


def only_rank(term: LossTerm, batch: Batch, rank: int, *, idle: bool) -> LossTerm:
    """The term with weight on this rank's contexts alone: all of them on rank 0, or every other one."""
    owner = batch.table["context"][term.rows] % 2
    mine = owner.new_full(owner.shape, rank == 0).bool() if idle else owner == rank
    return replace(term, weights=term.weights.masked_fill(~mine, 0.0))


def rank_shares(rank: int, *, idle: bool) -> tuple[list[Share], float]:
    batch = tiny_batch()
    terms = [only_rank(term, batch, rank, idle=idle) for term in every_term(batch)]
    plan = LossPlan(terms, temperature=0.8)
    return shares_of(batch, plan, token_budget=40, vocab_size=VOCAB, device=CPU), plan.temperature


def wrapped(*, tied: bool) -> LossModule:
    module = LossModule(tiny_model(tied=tied, dtype=torch.float64), vocab_size=VOCAB, chunk_rows=7)
    for layer in module.model.model.layers:
        fully_shard(layer).set_gradient_divide_factor(1.0)
    fully_shard(module).set_gradient_divide_factor(1.0)
    return module


def work(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    for number, (tied, idle) in enumerate(CASES):
        result = loss_and_gradients(rank, tied=tied, idle=idle)
        if rank == 0:
            save_file(result, Path(folder) / f"{number}.safetensors")
    dist.barrier()
    dist.destroy_process_group()


def loss_and_gradients(rank: int, *, tied: bool, idle: bool) -> dict[str, Tensor]:
    shares, temperature = rank_shares(rank, idle=idle)
    count = torch.tensor(len(shares))
    dist.all_reduce(count, dist.ReduceOp.MAX)
    while len(shares) < int(count):
        shares.append(Share(MicroBatch.without_rows(), []))
    module = wrapped(tied=tied)
    total = torch.zeros((), dtype=torch.float64)
    for share in shares:
        loss, _ = module(share.batch, share.terms, temperature=temperature)
        loss.backward()
        total += loss.detach()
    dist.all_reduce(total)
    result = {"loss": total}
    for name, p in module.model.named_parameters():
        assert isinstance(p, DTensor) and isinstance(p.grad, DTensor)
        result[name] = p.grad.full_tensor().contiguous()
    return result


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """Loss and gradients of every case from one pair of processes, since starting them takes most of the time."""
    folder = tmp_path_factory.mktemp("fsdp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(work, args=(port, str(folder)), nprocs=2)
    return [load_file(folder / f"{number}.safetensors") for number in range(len(CASES))]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_two_ranks_equal_one(results: list[dict[str, Tensor]], number: int) -> None:
    tied, _ = CASES[number]
    batch = tiny_batch()
    plan = LossPlan(every_term(batch), temperature=0.8)
    loaded = describe(tiny_model(tied=tied, dtype=torch.float64), None)
    policy = LocalPolicy(loaded, optimizer=OptimizerConfig(), total_updates=1)
    expected = policy.gradients(batch, plan)
    got = dict(results[number])
    assert float(got.pop("loss")) == pytest.approx(policy.update(batch, plan).loss, rel=1e-6)
    assert set(got) == set(expected)
    for name, grad in expected.items():
        torch.testing.assert_close(got[name], grad, atol=1e-10, rtol=1e-8, msg=name)
