"""One context of 32,768 tokens learns in memory that grows with its length, not with the square of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from understudy.bench.speed.resident import forget_peak_memory, peak_memory
from understudy.models.architectures import why_not_packed
from understudy.models.forward import plan_forward
from understudy.models.loss_module import LossModule
from understudy.models.row_terms import RowTerm
from understudy.plans import Likelihood

LENGTH = 32768
BOUND_MIB = {"causal": 160, "window": 400}
"""One [L, L] mask of booleans would be 1,024. A window of 512 needs masks of [L, 2 * 512], kept for the gradient."""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def model_of(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    settings = {
        "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
        "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": LENGTH + 1,
    }  # fmt: skip
    if kind == "window":
        return MistralForCausalLM(MistralConfig(**settings, sliding_window=512)).eval()
    return Qwen3ForCausalLM(Qwen3Config(**settings)).eval()


def learn(kind: str, length: int) -> float:
    """MiB above what the process held before forward and backward of a long context and two short ones."""
    torch.set_num_threads(1)
    model = model_of(kind)
    assert why_not_packed(model) is None
    module = LossModule(model, vocab_size=32, chunk_rows=4096)
    contexts = [torch.randint(32, (n,), generator=torch.Generator().manual_seed(n)) for n in (length + 1, 700, 90)]
    context = torch.tensor([0, 0, 1, 2])
    position = torch.tensor([length, length // 2, 600, 80])
    batches = plan_forward(contexts, context, position, token_budget=2 * length, model=model)
    assert [batch.lengths for batch in batches] == [(length,), (600, 80)]
    weights, index = torch.full((2,), 0.25), torch.arange(2)
    term = RowTerm("opd", index, weights, Likelihood(torch.ones(2, 1)), ids=torch.ones(2, 1, dtype=torch.int64))
    held = forget_peak_memory()
    for batch in batches:
        loss, _ = module(batch, [term])
        loss.backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
    return peak_memory() - held


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["causal", "window"])
def test_a_long_context_learns_in_bounded_memory(kind: str) -> None:
    command = [sys.executable, "-m", "tests.models.test_long_context", kind, str(LENGTH)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < BOUND_MIB[kind]


if __name__ == "__main__":
    print(learn(sys.argv[1], int(sys.argv[2])))
