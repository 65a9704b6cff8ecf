"""Tiny real models, batches and plans that the conformance suites and engine tests share; no file, no network."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from understudy.models.sampling import LocalSampler
from understudy.plans import Divergence, Full, Ids, Likelihood, LossPlan, LossTerm, Ratio, RowLoss, ToTarget
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, batch_of

VOCAB = 19


def tiny_model(
    *, seed: int = 0, vocab_size: int = VOCAB, tied: bool = True, layers: int = 2, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """A Qwen3 model of a few thousand weights, large enough in spread that its distributions are far from uniform."""
    config = tiny_config(
        vocab_size=vocab_size,
        intermediate_size=32,
        num_hidden_layers=layers,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config).to(dtype).eval()


def tiny_config(**changes: Any) -> Qwen3Config:
    """A Qwen3 of one layer, two heads of width 8, one group; ``changes`` are other fields, or other values."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    return Qwen3Config(**{**sizes, **heads, **changes})


def random_sampler(*, vocab_size: int, max_length: int, version: int = 0, **changes: Any) -> LocalSampler:
    """Of random weights, always the same, with room for ``max_length`` tokens; ``changes`` as of ``tiny_config``."""
    torch.manual_seed(0)
    config = tiny_config(vocab_size=vocab_size, max_position_embeddings=max_length, **changes)
    return LocalSampler(Qwen3ForCausalLM(config), vocab_size=vocab_size, max_length=max_length, version=version)


def tiny_tokenizer(size: int = VOCAB, *, swapped: bool = False) -> PreTrainedTokenizerFast:
    """One token a word: w0, w1, ...; ``swapped`` exchanges the ids of w3 and w4."""
    vocab = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i for i in range(2, size)}}
    if swapped:
        vocab["w3"], vocab["w4"] = 4, 3
    backend = Tokenizer(WordLevel(vocab, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")


def tiny_batch(*, seed: int = 0, count: int = 5, vocab_size: int = VOCAB) -> Batch:
    """Rollouts of different lengths, one of them empty, one with two turns that merge, one with two fresh prompts."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> Tensor:
        size = int(torch.randint(low, high, (), generator=generator))
        return torch.randint(2, vocab_size, (size,), generator=generator)

    def turn(prompt: Tensor, completion: Tensor) -> Turn:
        count = completion.numel()
        return Turn(
            prompt_ids=prompt,
            completion_ids=completion,
            origin=torch.full((count,), Origin.STUDENT),
            behaviour_logprob=torch.full((count,), -2.0),
            weight_version=torch.zeros(count, dtype=torch.int64),
            finish_reason=FinishReason.STOP,
        )

    rollouts = []
    for key in range(count):
        first = turn(draw(1, 6), draw(1, 14))
        turns: tuple[Turn, ...] = (first,)
        if key == 1:
            turns = ()
        if key == 2:
            turns = (first, turn(torch.cat([first.prompt_ids, first.completion_ids, draw(1, 4)]), draw(2, 6)))
        if key == 3:
            turns = (first, turn(draw(2, 5), draw(3, 8)))
        rollouts.append(Rollout(key=key, group=0, problem="p", turns=turns, finish_reason=FinishReason.STOP))
    return batch_of(rollouts, contexts_of(rollouts))


def some_logprobs(rows: int, ids: Tensor, *, vocab_size: int, generator: torch.Generator) -> Tensor:
    """[rows, K] log-probs of ``ids`` under random distributions, float64."""
    return (
        torch.randn(rows, vocab_size, generator=generator, dtype=torch.float64).mul(1.5).log_softmax(1).gather(1, ids)
    )


def distinct_ids(rows: int, k: int, *, vocab_size: int, generator: torch.Generator) -> Tensor:
    """[rows, k] distinct ids a row."""
    return torch.rand(rows, vocab_size, generator=generator).topk(k, dim=1).indices


def id_row_losses(advantage: Tensor, old: Tensor, target: Tensor) -> dict[str, RowLoss]:
    """Every row loss on K ids, by name; constants [M, K] float64."""
    losses: dict[str, RowLoss] = {"likelihood": Likelihood(advantage)}
    for kind in ("importance", "capped", "masked", "ppo", "dual_clip"):
        losses[kind] = Likelihood(advantage, Ratio(kind, low=0.5, high=1.5, dual=3.0), old)  # type: ignore[arg-type]
    for kind in ("square", "huber", "k3"):
        losses[kind] = ToTarget(target, kind)  # type: ignore[arg-type]
    for support in ("raw", "renormalised", "target_renormalised", "tail"):
        for kind in ("forward", "reverse", "jsd", "skew_forward", "skew_reverse"):
            losses[f"{kind}-{support}"] = Divergence(kind, target, support, beta=0.3)  # type: ignore[arg-type]
    losses["reverse-detached_log"] = Divergence("reverse", target, "detached_log")
    return losses


def every_term(batch: Batch, *, seed: int = 0, vocab_size: int = VOCAB) -> list[LossTerm]:
    """One term for each kind of row loss, on random overlapping subsets of rows, with different K and filler."""
    generator = torch.Generator().manual_seed(seed)
    total = batch.table.num_tokens
    terms = []
    names = list(id_row_losses(*[torch.zeros(1, 1)] * 3))
    for number, name in enumerate(names):
        rows = _some_rows(total, generator)
        k = 1 + number % 5
        ids = distinct_ids(rows.numel(), k, vocab_size=vocab_size, generator=generator)
        constants = {
            "advantage": torch.randn(rows.numel(), k, generator=generator, dtype=torch.float64),
            "old": some_logprobs(rows.numel(), ids, vocab_size=vocab_size, generator=generator),
            "target": some_logprobs(rows.numel(), ids, vocab_size=vocab_size, generator=generator),
        }
        valid = None
        if number % 2:
            valid = torch.rand(rows.numel(), k, generator=generator) < 0.7
            valid[:, 0] = True
            ids = ids.masked_fill(~valid, -1)
        weights = _some_weights(rows.numel(), generator)
        terms.append(LossTerm(name, rows, weights, id_row_losses(**constants)[name], Ids(ids, valid)))
    return terms


def full_terms(batch: Batch, *, scorer: str, seed: int = 0) -> list[LossTerm]:
    """One whole-vocabulary term for each kind of divergence."""
    generator = torch.Generator().manual_seed(seed)
    terms = []
    for kind in ("forward", "reverse", "jsd", "skew_forward", "skew_reverse"):
        rows = _some_rows(batch.table.num_tokens, generator)
        weights = _some_weights(rows.numel(), generator)
        row_loss = Divergence(kind, beta=0.3)  # type: ignore[arg-type]
        terms.append(LossTerm(f"full-{kind}", rows, weights, row_loss, Full(scorer)))
    return terms


def likelihood_plan(batch: Batch) -> LossPlan:
    """Mean negative log-likelihood of every scored token."""
    count = batch.table.num_tokens
    rows, weights = torch.arange(count), torch.full((count,), 1 / count)
    term = LossTerm("nll", rows, weights, Likelihood(torch.ones(count, 1)), Ids(batch.table["token_id"][:, None]))
    return LossPlan([term])


def _some_rows(total: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(total, generator=generator) < 0.6).nonzero().squeeze(1)


def _some_weights(count: int, generator: torch.Generator) -> Tensor:
    weights = torch.randn(count, generator=generator, dtype=torch.float64)
    return weights.masked_fill(torch.rand(count, generator=generator) < 0.2, 0.0)
