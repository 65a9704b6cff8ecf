"""What sampling costs: waves against refilled slots, and the fast decode steps against the model's own.

    python -m benchmarks.sampling refill --slots 16 --rounds 3
    python -m benchmarks.sampling step --rounds 3

Processor seconds of one thread, medians of rounds in which the forms take turns; the samples of all forms are checked
to be the same, but for one in five where a draw fell on the edge between two tokens (a wide vocabulary has many).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from understudy.models.decode_native import native_step
from understudy.models.decode_step import DecodeStep, step_of
from understudy.models.decode_weights import step_weights
from understudy.models.sampling_decode import Seating, decode
from understudy.models.sampling_prefill import next_logits
from understudy.models.sampling_slots import Forward
from understudy.models.sampling_work import Work
from understudy.protocols import Sample, SampleRequest, SamplingParams

LONGEST = 512
Timed = tuple[float, list[list[int]]]
"""Seconds, and the ids that were drawn."""


def student(width: int, layers: int, vocab_size: int) -> nn.Module:
    """A Qwen3-architecture model with random weights, heads of 32, and tied embeddings."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        head_dim=32,
        max_position_embeddings=LONGEST + 64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    return Qwen3ForCausalLM(config).eval()


def work_of(count: int, *, vocab_size: int, new: int, num_stops: int, group: int = 1) -> Work:
    """So many requests with prompts of 40 to 54 tokens, ``group`` for each; every token ends one in V / num_stops."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(40, 55, (count // group,), generator=generator).tolist()
    prompts = [torch.randint(1, vocab_size, (length,), generator=generator) for length in lengths]
    requests = [SampleRequest(prompts[key // group], key) for key in range(count)]
    params = SamplingParams(new, stop_ids=frozenset(range(1, num_stops + 1)))
    return Work(requests, params, seed=0, step=0, max_length=LONGEST + 64)


def timed(model: nn.Module, work: Work, forward: Forward, how: Seating) -> Timed:
    """Processor seconds of the thread, and what was drawn."""
    made: dict[int, Sample] = {}
    device = torch.device("cpu")
    start = time.process_time()
    with torch.no_grad():
        decode(
            model, work, work.order(), forward=forward, how=how, vocab_size=model.config.vocab_size,  # type: ignore[union-attr, arg-type]
            device=device, version=0, told=made.update,
        )  # fmt: skip
    return time.process_time() - start, [made[place].completion_ids.tolist() for place in range(len(work.requests))]


def medians(forms: Sequence[partial[Timed]], rounds: int) -> list[float]:
    """Of each form, taking turns; ends the program where they draw more than rounding at a draw's edge explains."""
    seconds: list[list[float]] = [[] for _ in forms]
    for _ in range(rounds):
        drawn = []
        for times, form in zip(seconds, forms, strict=True):
            spent, ids = form()
            times.append(spent)
            drawn.append(ids)
        apart = sum(one != other for ids in drawn[1:] for one, other in zip(ids, drawn[0], strict=True))
        if apart * 5 > len(drawn[0]):
            raise SystemExit(f"the forms drew {apart} different samples of {len(drawn[0])}")
    return [statistics.median(times) for times in seconds]


def refill(slots: int, rounds: int) -> None:
    """Waves over refilled slots by how many requests there are, for short and for long tails."""
    model = student(128, 4, 512)
    print("| requests a slot | lengths | waves s | refilled s | waves / refilled |\n|---|---|---|---|---|")
    for share in (1.5, 2, 4, 8, 16):
        for name, new, stops in (("fixed, 64", 64, 0), ("mean 60, at most 128", 128, 8), ("long tail, 512", 512, 4)):
            work = work_of(int(share * slots), vocab_size=512, new=new, num_stops=stops)
            forward = step_of(model, num_steps=work.num_steps, length=work.longest)
            forms = [partial(timed, model, work, forward, Seating(slots, again)) for again in (False, True)]
            waves, again = medians(forms, rounds)
            print(f"| {share} | {name} | {waves:.2f} | {again:.2f} | {waves / again:.2f} |", flush=True)


def step(rounds: int) -> None:
    """The model's own decode step over the fast one, in torch and in C, at sizes of the speed benchmark and wider."""
    print("| size | own s | torch s | C s | own / torch | torch / C |\n|---|---|---|---|---|---|")
    sizes = {
        "S": (128, 4, 512, 32, 128, 0),
        "SV": (128, 4, 512, 32, 128, 8),
        "B32": (256, 4, 32768, 16, 64, 0),
        "512 wide": (512, 4, 8192, 16, 48, 0),
        "512 wide, 64 rows": (512, 4, 8192, 64, 48, 0),
        "1,024 wide": (1024, 4, 512, 16, 48, 0),
    }
    for name, (width, layers, vocab_size, count, new, stops) in sizes.items():
        model = student(width, layers, vocab_size)
        work, how = work_of(count, vocab_size=vocab_size, new=new, num_stops=stops), Seating(count, refill=False)

        def fast(form: Callable[..., Forward], model: nn.Module = model, work: Work = work) -> Timed:
            start = time.process_time()
            with torch.no_grad():
                forward = form(model, length=work.longest)
            copying = time.process_time() - start
            spent, ids = timed(model, work, forward, Seating(len(work.requests), refill=False))
            return spent + copying, ids

        forms = [partial(timed, model, work, partial(next_logits, model), how), partial(fast, DecodeStep)]
        own, in_torch, in_c = medians([*forms, partial(fast, compiled)], rounds)
        ratios = f"{own / in_torch:.2f} | {in_torch / in_c:.2f}"
        print(f"| {name} | {own:.3f} | {in_torch:.3f} | {in_c:.3f} | {ratios} |", flush=True)


def compiled(model: nn.Module, *, length: int) -> Forward:
    """The step in C; ends the program where it cannot be had."""
    made = native_step(step_weights(model, length=length))
    if made is None:
        raise SystemExit("no C compiler: there is nothing to compare")
    return made


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["refill", "step"])
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "refill":
        refill(options.slots, options.rounds)
    else:
        step(options.rounds)


if __name__ == "__main__":
    main()
