"""How a run goes: sampling, steps, evaluation, checkpoints and the machine it runs on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from understudy.recipe.data import Suite
from understudy.recipe.overlap import Overlap
from understudy.recipe.samplers import InProcessField
from understudy.recipe.section import Number, Section, Text, Whole
from understudy.recipe.servers import SamplingServerField


class RolloutConfig(Section):
    """How the student is sampled in training.

    Args:
        prompts_per_step: problems a step. num_generations: rollouts of each.
        max_completion_length: in tokens, each turn. temperature: sampling's and the loss's, one field for both.
        top_p: nucleus mass kept. top_k: tokens kept, 0 = all. max_turns: of an episode.
        show_every: steps between completions shown on the terminal, the first and the last step's among them; 0 = none.
        magnified: so many rollouts of about twenty steps keep the likeliest tokens of student and teacher, for the
            report; 0 = none.
        server: servers that sample in place of this process. weights: how they are given new ones: ``adapter`` and
            ``disk`` through a folder that they see, ``group`` from memory to memory through a process group (NCCL
            between GPUs, else gloo; ``nccl`` is another word for it); ``auto`` takes the first for LoRA, the second
            otherwise. sampler: ``vllm`` samples in this process in place of the program's own sampler.
            overlap: sampling ahead of training.
    """

    prompts_per_step: Whole = Field(default=16, ge=1)
    num_generations: Whole = Field(default=4, ge=1)
    max_completion_length: Whole = Field(default=256, ge=1)
    temperature: Number = Field(default=1.0, gt=0, le=10)
    top_p: Number = Field(default=1.0, gt=0, le=1)
    top_k: Whole = Field(default=0, ge=0)
    max_turns: Whole = Field(default=1, ge=1)
    show_every: Whole = Field(default=0, ge=0)
    magnified: Whole = Field(default=6, ge=0, le=64)
    server: SamplingServerField | None = None
    sampler: InProcessField | None = None
    weights: Literal["auto", "adapter", "disk", "group", "nccl"] = "auto"
    overlap: Overlap = Overlap()

    @model_validator(mode="after")
    def _fields_agree(self) -> RolloutConfig:
        if self.overlap.segment_tokens is not None and self.max_turns > 1:
            raise ValueError("overlap.segment_tokens carries single completions over: max_turns must be 1")
        if self.server is not None and self.sampler is not None:
            raise ValueError("server and sampler both say who draws the rollouts: leave one of them out")
        if self.server is None and self.weights != "auto":
            raise ValueError(f"weights {self.weights!r} go to servers, and rollout.server names none")
        return self


class Optimizer(Section):
    """AdamW and its learning rate.

    Args:
        learning_rate: the highest. schedule: ``constant``, or ``linear`` or ``cosine`` down to 0, which
            the update after the last would have.
        warmup_steps: steps of linear rise. betas, eps, weight_decay: AdamW's.
        max_grad_norm: the gradient's global norm is cut to this; null leaves it.
        states: how AdamW's two averages are kept: 8 bytes a trained weight in ``float32``, 4 in ``bfloat16``,
            2 in ``int8``; the last two round, and so change results a little.
    """

    learning_rate: Number = Field(default=1e-4, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: Whole = Field(default=0, ge=0)
    betas: tuple[Annotated[Number, Field(ge=0, lt=1)], Annotated[Number, Field(ge=0, lt=1)]] = (0.9, 0.95)
    eps: Number = Field(default=1e-8, gt=0)
    weight_decay: Number = Field(default=0.0, ge=0)
    max_grad_norm: Number | None = Field(default=1.0, gt=0)
    states: Literal["float32", "bfloat16", "int8"] = "float32"


def _suite_or_name(value: object) -> str:
    return "name" if isinstance(value, str) else "suite"


SuiteOrName = Annotated[Annotated[Suite, Tag("suite")] | Annotated[Text, Tag("name")], Discriminator(_suite_or_name)]
"""A ``Suite``, or the name of one that comes with the package."""


class Evaluation(Section):
    """When the student is examined, and on what.

    Args:
        every: steps between examinations; 0 means only before and after. suites: problems, or names of built-in ones.
        before, after: examine before step 0 and after the last step. teacher: examine the teacher once, before step 0.
        stop_after: the run ends after so many examinations in a row in which the suite of ``checkpoint.keep_best`` came
            to nothing better; 0 never ends it early.
    """

    every: Whole = Field(default=0, ge=0)
    suites: tuple[SuiteOrName, ...] = ()
    before: bool = True
    after: bool = True
    teacher: bool = True
    stop_after: Whole = Field(default=0, ge=0)

    @property
    def suite_names(self) -> tuple[str, ...]:
        """The suites' names in order."""
        return tuple(suite if isinstance(suite, str) else suite.name for suite in self.suites)

    @model_validator(mode="after")
    def _names_differ(self) -> Evaluation:
        names = self.suite_names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two suites are called {name!r}")
        return self


class Checkpoint(Section):
    """What is kept for ``--resume`` and after.

    Args:
        every: steps between checkpoints. keep_last: how many are kept.
        keep_best: name of the suite whose best checkpoint is kept as well.
    """

    every: Whole = Field(default=10, ge=1)
    keep_last: Whole = Field(default=2, ge=1)
    keep_best: Text | None = None
