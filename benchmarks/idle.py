"""How long samplers wait for their worlds: the share of sampling in which no sampler runs, with 64 environments.

python -m benchmarks.idle                     # the tiny household and the full-size one; exits with 1 above 20 %
python -m benchmarks.idle --worlds full --width 512 --layers 8

Random weights play: nearly every reply is malformed, so that all episodes go on to the last turn. The tiny household
has the testbed's size of model; the full one a model of ``--width`` and ``--layers``, and a tokenizer with ChatML
messages. One thread; medians of ``--rounds``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from understudy.environments import household, shop
from understudy.environments.agents import Agent
from understudy.environments.episodes import Episode, play
from understudy.environments.household.tiny import VOCABULARY
from understudy.models.sampling import LocalSampler
from understudy.protocols import SamplingParams, Task
from understudy.testbed.tokenizer import word_tokenizer
from understudy.training.busy import Busy, TimedSampler

ENVIRONMENTS = 64
BOUND = 0.20
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Setting:
    """A world with its agent, who plays in it, and how long."""

    name: str
    tasks: Callable[[], list[Task]]
    agent: Callable[[], Agent]
    tokenizer: PreTrainedTokenizerBase
    width: int
    layers: int
    max_length: int
    max_completion_length: int
    max_turns: int


def tiny() -> Setting:
    """The tiny household, for a model of the testbed's size."""
    return Setting(
        "household-tiny",
        lambda: household.tiny_household_tasks("train", ENVIRONMENTS, 0),
        lambda: Agent(household.Household(), household.manner("tiny")),
        word_tokenizer(VOCABULARY, context_tokens=512),
        width=64,
        layers=3,
        max_length=512,
        max_completion_length=6,
        max_turns=20,
    )


def tiny_shop() -> Setting:
    """The tiny shop, whose turns are too short for its student to be kept busy."""
    return Setting(
        "tiny-shop",
        lambda: shop.tiny_shop_tasks("train", ENVIRONMENTS, 0),
        lambda: Agent(shop.tiny_shop(), shop.manner("tiny")),
        word_tokenizer(shop.tiny_vocabulary(), context_tokens=64),
        width=64,
        layers=3,
        max_length=64,
        max_completion_length=6,
        max_turns=8,
    )


def full(width: int, layers: int) -> Setting:
    """The household of full size, with a prompt of its own for each turn."""
    return Setting(
        "household",
        lambda: household.tasks("train", ENVIRONMENTS, 0),
        lambda: Agent(household.Household(), household.manner("full")),
        chat_tokenizer(),
        width=width,
        layers=layers,
        max_length=2048,
        max_completion_length=32,
        max_turns=4,
    )


def chat_tokenizer() -> PreTrainedTokenizerFast:
    """Word-pieces learned from the household's own prompts, and a ChatML template."""
    agent = Agent(household.Household(), household.manner("full"))
    texts = [str(agent.reset(task, 0).prompt) for task in household.tasks("train", ENVIRONMENTS, 1)]
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator(texts, trainer)
    found = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<|im_end|>")
    found.chat_template = CHATML
    return found


def sampler_of(setting: Setting) -> LocalSampler:
    """A Qwen3-architecture model with random weights."""
    torch.manual_seed(0)
    size = len(setting.tokenizer)
    config = Qwen3Config(
        vocab_size=size,
        hidden_size=setting.width,
        intermediate_size=3 * setting.width,
        num_hidden_layers=setting.layers,
        num_attention_heads=setting.width // 32,
        num_key_value_heads=setting.width // 32,
        head_dim=32,
        max_position_embeddings=setting.max_length,
        tie_word_embeddings=True,
    )
    return LocalSampler(Qwen3ForCausalLM(config).eval(), vocab_size=size, max_length=setting.max_length)


@dataclass(frozen=True)
class Measured:
    """One round: the idle share, the wall clock, and how many turns were played."""

    idle: float
    seconds: float
    turns: int


def measured(setting: Setting, sampler: LocalSampler, *, seed: int) -> Measured:
    """Play all environments once."""
    busy = Busy()
    started = time.perf_counter()
    rollouts = play(
        [Episode(task, key=number, group=number) for number, task in enumerate(setting.tasks())],
        environment_factory=setting.agent,
        sampler=TimedSampler(sampler, busy),
        params=SamplingParams(setting.max_completion_length, stop_ids=frozenset({setting.tokenizer.eos_token_id})),
        tokenizer=setting.tokenizer,
        seed=seed,
        step=0,
        max_turns=setting.max_turns,
        max_length=setting.max_length,
    )
    seconds = time.perf_counter() - started
    idle = busy.idle_share(0.0, seconds)
    assert idle is not None, "somebody spoke"
    return Measured(idle, seconds, sum(len(one.turns) for one in rollouts))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=["tiny", "full", "shop"], default=["tiny", "full"])
    parser.add_argument("--width", type=int, default=128, help="of the full world's model")
    parser.add_argument("--layers", type=int, default=2, help="of the full world's model")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    worst = 0.0
    for name in asked.worlds:
        setting = {"tiny": tiny, "shop": tiny_shop}.get(name, partial(full, asked.width, asked.layers))()
        sampler = sampler_of(setting)
        rounds = [measured(setting, sampler, seed=seed) for seed in range(asked.rounds)]
        idle = statistics.median(one.idle for one in rounds)
        spread = f"{min(one.idle for one in rounds):.1%} to {max(one.idle for one in rounds):.1%}"
        print(
            f"{setting.name}: {ENVIRONMENTS} environments, {rounds[0].turns} turns in {rounds[0].seconds:.1f} s, "
            f"sampler idle {idle:.1%} (median of {asked.rounds}, {spread})",
            flush=True,
        )
        worst = max(worst, idle)
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
