"""What the user ordered: how many processes of each kind, on how many machines, by which program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.errors import UserMistakeError

Program = Literal["understudy", "vllm", "sglang"]
PROGRAMS: tuple[Program, ...] = ("understudy", "vllm", "sglang")
KEY_VARIABLE = "UNDERSTUDY_LAUNCH_KEY"
"""Environment variable with the key that launched servers ask for; made for each launch on one machine."""


@dataclass(frozen=True)
class Order:
    """Counts are for each machine.

    Args:
        ranks: processes of the trainer. samplers: servers of the student. teachers: servers of each teacher.
        machines: how many take part. hosts: their names, the trainer's first rank is on the first; none are made up.
        program: what serves; None goes by the recipe's server kind, and is ``understudy`` where it names none.
        gpus: of a machine. server_gpus: for each server. first_port: of servers; None takes free ones.
        rendezvous_port: of the trainer's first rank, where there are several ranks.
        sampler_options, teacher_options: added to the servers' commands as they stand.
    """

    ranks: int = 1
    samplers: int = 0
    teachers: int = 0
    machines: int = 1
    hosts: tuple[str, ...] = ()
    program: Program | None = None
    gpus: int = 0
    server_gpus: int = 1
    first_port: int | None = None
    rendezvous_port: int = 29500
    sampler_options: Sequence[str] = ()
    teacher_options: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, least in (("ranks", 1), ("samplers", 0), ("teachers", 0), ("machines", 1), ("server_gpus", 1)):
            value = getattr(self, name)
            if value < least:
                raise UserMistakeError(_option(name) + " is out of range", got=value, expected=f"at least {least}")
        if self.hosts and len(self.hosts) != self.machines:
            raise UserMistakeError(
                "--hosts does not name every machine once",
                got=f"{len(self.hosts)} name(s) for --machines {self.machines}",
                expected=f"{self.machines} with commas between them",
            )
        if len(set(self.hosts)) < len(self.hosts) and self.first_port is None:
            raise UserMistakeError("--hosts names a machine twice", got=",".join(self.hosts))
        if self.gpus and self.ranks > self.gpus:
            raise UserMistakeError(
                "--ranks asks for more ranks than a machine has GPUs",
                got=f"{self.ranks} ranks on {self.gpus} GPU(s)",
                expected="one GPU for each rank",
                remedy="Lower --ranks, or say --gpus 0 to leave the choice of devices to the recipe.",
            )

    @property
    def machine_names(self) -> tuple[str, ...]:
        """A name for each machine: the given ones, this machine alone, or placeholders."""
        if self.hosts:
            return self.hosts
        return ("127.0.0.1",) if self.machines == 1 else tuple(f"machine-{n}" for n in range(self.machines))

    @property
    def is_alone(self) -> bool:
        """Whether nothing leaves this machine."""
        return self.machines == 1


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
