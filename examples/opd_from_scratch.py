"""On-policy distillation in one file of plain PyTorch: the student acts, the teacher marks, the student learns.

    python examples/opd_from_scratch.py                                # the testbed's models, made on first use
    python examples/opd_from_scratch.py STUDENT TEACHER PROMPTS.txt    # two models of one tokenizer, one prompt a line

Nothing of Understudy trains here; tests/examples holds the loss and the gradient of every batch equal to those of
`objective: {method: opd}` in the package, which adds what a real run needs: packing, a fused head, servers, resuming.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Settings:
    steps: int = 12
    prompts_per_step: int = 32
    samples_per_prompt: int = 4
    max_completion_tokens: int = 72
    learning_rate: float = 3e-4
    seed: int = 0


@dataclass(frozen=True)
class Rollouts:
    """What the student wrote, padded on the right: [rollout, token]."""

    ids: Tensor  # prompt, then completion
    completion: Tensor  # True where a token was chosen by the student, its end token included
    logprob: Tensor  # of each token, when it was chosen; 0 elsewhere


@torch.no_grad()
def act(
    student: PreTrainedModel, prompts: list[list[int]], *, max_tokens: int, eos: int, generator: torch.Generator
) -> Rollouts:
    """Let the student write: one token a turn, drawn from its own distribution, until it ends or has no room."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    ids = torch.full((len(prompts), int(lengths.max()) + max_tokens), eos)
    for row, prompt in zip(ids, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    chosen, logprob = torch.zeros_like(ids, dtype=torch.bool), torch.zeros(ids.shape)
    running, rows = torch.ones(len(prompts), dtype=torch.bool), torch.arange(len(prompts))
    for offset in range(max_tokens):
        position = lengths + offset  # every rollout at its own place: no padding between prompt and completion
        logits = student(ids[:, : int(position.max())]).logits[rows, position - 1]
        distribution = logits.float().log_softmax(-1)
        token = torch.multinomial(distribution.exp(), 1, generator=generator).squeeze(1)
        write = rows[running]
        ids[write, position[write]] = token[write]
        chosen[write, position[write]] = True
        logprob[write, position[write]] = distribution[write, token[write]]
        running = running & (token != eos)
        if not running.any():
            break
    return Rollouts(ids, chosen, logprob)


def mark(model: PreTrainedModel, rollouts: Rollouts) -> Tensor:
    """Log-probability of every token after those before it, [rollout, token]; what comes first has none."""
    logits = model(rollouts.ids[:, :-1]).logits.float()
    marks = logits.log_softmax(-1).gather(-1, rollouts.ids[:, 1:, None]).squeeze(-1)
    return torch.nn.functional.pad(marks, (1, 0))


def opd_loss(student: PreTrainedModel, teacher: PreTrainedModel, rollouts: Rollouts) -> Tensor:
    """Reverse KL on the student's own tokens, as a policy gradient.

    The advantage of a token is what the teacher thinks of it beyond what the student does, log pi_T - log pi_S. It is a
    constant: differentiated itself, it would have an expected gradient of zero, without the teacher in it.
    """
    with torch.no_grad():
        teacher_mark = mark(teacher, rollouts)
    live = mark(student, rollouts)
    advantage = teacher_mark - rollouts.logprob
    ratio = (live - rollouts.logprob).exp()  # 1, as the student has not moved since it acted; its gradient is not 0
    mine = rollouts.completion
    return -(ratio * advantage)[mine].sum() / mine.sum()


def distil(
    student: PreTrainedModel, teacher: PreTrainedModel, prompts: list[list[int]], eos: int, settings: Settings
) -> list[float]:
    """Train the student; returns the mean reverse KL in nats a token, by step."""
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(student.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0)
    history = []
    for step in range(settings.steps):
        drawn = torch.randint(len(prompts), (settings.prompts_per_step,), generator=generator).tolist()
        batch = [prompts[index] for index in drawn for _ in range(settings.samples_per_prompt)]
        rollouts = act(student, batch, max_tokens=settings.max_completion_tokens, eos=eos, generator=generator)
        loss = opd_loss(student, teacher, rollouts)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        history.append(loss.item())  # the ratio is 1 here, so the loss is the mean of log pi_S - log pi_T
        print(f"step {step + 1}/{settings.steps}  reverse KL {history[-1]:.3f} nats a token")
    return history


def load(name: str) -> PreTrainedModel:
    """A model as it is used here: in float32, without dropout."""
    return AutoModelForCausalLM.from_pretrained(name, dtype="float32").eval()


def main(arguments: list[str], settings: Settings = Settings()) -> list[float]:
    torch.manual_seed(settings.seed)
    student_name, teacher_name, texts = sources(arguments)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(student_name)
    student, teacher = load(student_name), load(teacher_name).requires_grad_(False)
    prompts = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    assert tokenizer.eos_token_id is not None, "a student must know how to end"
    return distil(student, teacher, prompts, tokenizer.eos_token_id, settings)


def sources(arguments: list[str]) -> tuple[str, str, list[str]]:
    """Student, teacher and prompts: those named, or the testbed's, which multiply numbers with worked steps."""
    if arguments:
        student, teacher, prompts = arguments
        return student, teacher, Path(prompts).read_text().splitlines()
    from understudy import testbed

    student, teacher = (str(testbed.resolve_model(name)) for name in (testbed.STUDENT_NAME, testbed.TEACHER_NAME))
    return student, teacher, [str(task.prompt) for task in testbed.tasks(testbed.DATASET, "train")]


if __name__ == "__main__":
    main(sys.argv[1:])
