"""What rounding costs a gradient: of the layers' products, and of the head's factors on top, against float64.

python -m benchmarks.rounding
python -m benchmarks.rounding --width 512 --layers 8 --vocab 151936 --tokens 128
"""

from __future__ import annotations

import argparse
import copy

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from understudy.models.architectures import why_not_packed
from understudy.models.forward import plan_forward
from understudy.models.loss_module import LossModule
from understudy.models.row_terms import RowTerm
from understudy.plans import Likelihood

WAYS = {  # name: (bfloat16 layers, rounded head)
    "float32": (False, False),
    "float32 layers, rounded head": (False, True),
    "bfloat16 layers, exact head": (True, False),
    "bfloat16 layers, rounded head": (True, True),
}


def student(options: argparse.Namespace, *, seed: int) -> nn.Module:
    """A student of random weights whose logits spread by some nats."""
    config = Qwen3Config(
        vocab_size=options.vocab,
        hidden_size=options.width,
        intermediate_size=3 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=max(1, options.width // 64),
        num_key_value_heads=max(1, options.width // 128),
        head_dim=64,
        tie_word_embeddings=True,
        initializer_range=0.05,
    )
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config).eval()


def gradient(model: nn.Module, ids: Tensor, advantage: Tensor, *, layers: bool, head: bool) -> Tensor:
    """The gradient of the sampled-token loss with respect to all weights, one after the other, float64."""
    why_not_packed(model, autocast=layers)
    module = LossModule(model, vocab_size=model.config.vocab_size, chunk_rows=256, autocast=layers)
    module.head.rounded = head
    count = ids.numel() - 1
    (batch,) = plan_forward([ids], torch.zeros(count, dtype=torch.int64), torch.arange(1, count + 1), token_budget=1)
    dtype = next(model.parameters()).dtype
    rows = torch.arange(count)
    likelihood = Likelihood(torch.ones(count, 1, dtype=dtype))
    term = RowTerm("opd", rows, advantage.to(dtype) / count, likelihood, ids=ids[1:, None])
    model.zero_grad()
    loss, _ = module(batch, [term])
    loss.backward()
    return torch.cat([p.grad.double().flatten() for p in model.parameters() if p.grad is not None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"width": 256, "layers": 4, "vocab": 32768, "tokens": 384, "seeds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print("error of the gradient against float64, its norm over that of the gradient, by seed\n")
    print(
        "| | " + " | ".join(f"seed {seed}" for seed in range(options.seeds)) + " |\n|---" + "|---" * options.seeds + "|"
    )
    for name, (layers, head) in WAYS.items():
        errors = []
        for seed in range(options.seeds):
            model = student(options, seed=seed)
            ids, advantage = torch.randint(options.vocab, (options.tokens,)), torch.randn(options.tokens - 1)
            exact = gradient(copy.deepcopy(model).double(), ids, advantage, layers=False, head=False)
            found = gradient(model, ids, advantage, layers=layers, head=head)
            errors.append(float((found - exact).norm() / exact.norm()))
        print(f"| {name} | " + " | ".join(f"{100 * error:.4f} %" for error in errors) + " |", flush=True)


if __name__ == "__main__":
    main()
