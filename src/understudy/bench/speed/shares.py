"""How close each part of a step comes to what the machine can do: model FLOPs at the measured rate of products."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.bench.speed.limits import Limits
from understudy.bench.speed.step_job import Measured
from understudy.bench.speed.workload import Size

PARTS = {
    "sample": ("sample",),
    "teacher": ("teacher",),
    "update": ("student_score", "forward", "loss", "backward"),
    "optimizer": ("optimizer",),
}
"""Parts of a step and the phases they are made of: a head whose gradient is made in the forward cannot be split."""
_ADAMW_BYTES = 28
"""A float32 parameter, its gradient and two moments read; the parameter and both moments written."""


@dataclass(frozen=True)
class Share:
    """One part of a step.

    Args:
        seconds: it took. limit: seconds it would take at the machine's measured rate.
    """

    seconds: float
    limit: float

    @property
    def share(self) -> float:
        """Of the limit that is reached, at most 1 but for noise."""
        return self.limit / self.seconds if self.seconds else 0.0


def shares_of(found: Measured, size: Size, setting: str, limits: Limits) -> dict[str, Share]:
    """Each part of one of our steps, and ``step``.

    The work is what the models need, whatever was done: every token once through the layers (three times in the
    update), rows of completions through the head, attention over mean lengths. The student's head is in float32.
    The optimiser's limit is the rate of copies.
    """
    method, precision = setting.split("-")
    work = work_of(size, found.tokens, full_vocabulary=method != "opd")
    fast, exact = 1e9 * limits.gflops(precision), 1e9 * limits.float32_gflops
    least = {
        "sample": work.student_layers / fast + work.student_head / exact,
        "teacher": (work.teacher_layers + (0 if work.full_vocabulary else work.teacher_head)) / fast,
        "update": 3 * (work.student_layers / fast + work.student_head / exact)
        + (work.teacher_head / fast if work.full_vocabulary else 0),
        "optimizer": _ADAMW_BYTES * work.student_parameters / (1e9 * limits.copy_gb_per_second),
    }
    parts = {part: Share(sum(found.seconds[phase] for phase in phases), least[part]) for part, phases in PARTS.items()}
    return {**parts, "step": Share(found.total, sum(least.values()))}


@dataclass(frozen=True)
class Work:
    """FLOPs of one forward pass over a step's tokens, two a multiplication.

    Args:
        student_layers, teacher_layers: all tokens, attention included. student_head, teacher_head: completion rows.
        student_parameters: that are trained. full_vocabulary: the loss needs the teacher's logits, so their product
            belongs to the update.
    """

    student_layers: float
    teacher_layers: float
    student_head: float
    teacher_head: float
    student_parameters: int
    full_vocabulary: bool


def work_of(size: Size, tokens: float, *, full_vocabulary: bool) -> Work:
    """The work of a step with so many completion tokens."""
    everything = tokens + size.batch * size.mean_prompt_length
    length = everything / size.batch

    def layers(shape: tuple[int, int]) -> float:
        width, depth = shape
        return everything * (2 * layer_parameters(shape) + 2 * depth * width * length)

    return Work(
        student_layers=layers(size.student),
        teacher_layers=layers(size.teacher),
        student_head=2 * tokens * size.vocab_size * size.student[0],
        teacher_head=2 * tokens * size.vocab_size * size.teacher[0],
        student_parameters=layer_parameters(size.student) + size.vocab_size * size.student[0],
        full_vocabulary=full_vocabulary,
    )


def layer_parameters(shape: tuple[int, int]) -> int:
    """Weights of the matrices in all layers: queries and output w², keys and values w²/2 each, three of 3w².

    >>> layer_parameters((128, 4))
    786432
    """
    width, depth = shape
    return 12 * width**2 * depth
