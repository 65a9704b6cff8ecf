"""Every process of a launch, on every machine, as data: what is printed by a dry run and started otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.launching.commands import Seat, server_part, trainer_part
from understudy.launching.gpus import Shares, shared_out
from understudy.launching.order import Order
from understudy.launching.part import Part
from understudy.launching.ports import free_ports, ports_from
from understudy.launching.served import Served, most_logprobs, served_models
from understudy.recipe import Recipe
from understudy.training.run_directory import LAUNCH

PORTS = "ports.json"
_FIRST_PORT_OF_SEVERAL = 8100


@dataclass(frozen=True)
class Layout:
    """A launch as data.

    Args:
        machines: names. parts: servers first, then the trainer, machine by machine. run: its folder.
        steps: of the run. ports: of this machine's servers, by name. notices: what the user should know.
    """

    machines: tuple[str, ...]
    parts: tuple[Part, ...]
    run: Path
    steps: int
    ports: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def of_machine(self, number: int) -> tuple[Part, ...]:
        """The parts of one machine."""
        return tuple(part for part in self.parts if part.machine == number)

    @property
    def key_variables(self) -> tuple[str, ...]:
        """Environment variables with keys that servers ask for."""
        return tuple(dict.fromkeys(part.key_variable for part in self.parts if part.key_variable is not None))

    def to_json(self) -> dict[str, object]:
        """For programs to read; no secret is in it."""
        parts = [
            {
                "name": part.name,
                "kind": part.kind,
                "machine": part.machine,
                "host": self.machines[part.machine],
                "url": part.url,
                "gpus": list(part.gpus),
                "environment": dict(part.environment),
                "command": list(part.command),
                "line": part.line,
            }
            for part in self.parts
        ]
        return {"run": str(self.run), "machines": list(self.machines), "parts": parts, "notices": list(self.notices)}


def laid_out(recipe: Recipe, source: Path, overrides: Sequence[str], order: Order) -> Layout:
    """The parts that the order asks for.

    Args:
        source: file of the recipe. overrides: the user's own.
    Raises:
        UserMistakeError: see ``served_models`` and ``server_part``; ports that do not exist.
    """
    models = served_models(recipe, order)
    seats = [(model, number) for model in models for number in range(_count(model, order))]
    ports = _ports(recipe, order, [f"{model.name}-{number}" for model, number in seats])
    shares = shared_out(order, len(seats))
    threads = max(1, (os.cpu_count() or 1) // max(1, len(seats) + order.ranks))
    logprobs = most_logprobs(recipe)
    sit = _Sitting(order, shares, list(ports.values()), threads)
    servers = [
        server_part(model, sit(machine, index, number), order, max_logprobs=logprobs)
        for machine in range(order.machines)
        for index, (model, number) in enumerate(seats)
    ]
    added = _added(recipe, order, models, servers)
    trainers = [
        trainer_part(str(source), [*overrides, *added], order, machine, gpus=shares.trainer, threads=threads)
        for machine in range(order.machines)
    ]
    parts = sorted([*servers, *trainers], key=lambda part: part.machine)
    notices = _notices(order, models, shares)
    return Layout(order.machine_names, tuple(parts), recipe.run_directory, recipe.steps, ports, notices)


@dataclass(frozen=True)
class _Sitting:
    order: Order
    shares: Shares
    ports: Sequence[int]
    threads: int

    def __call__(self, machine: int, index: int, number: int) -> Seat:
        """The seat of the machine's server ``index``, the ``number``-th of its model."""
        return Seat(
            number=number,
            machine=machine,
            url=f"http://{self.order.machine_names[machine]}:{self.ports[index]}",
            host="127.0.0.1" if self.order.is_alone else "0.0.0.0",
            gpus=self.shares.servers[index],
            sharers=self.shares.sharers(index),
            threads=self.threads,
        )


def _count(model: Served, order: Order) -> int:
    return order.samplers if model.role == "sampler" else order.teachers


def _ports(recipe: Recipe, order: Order, names: Sequence[str]) -> dict[str, int]:
    if order.first_port is not None or not order.is_alone:
        return ports_from(order.first_port or _FIRST_PORT_OF_SEVERAL, names) if names else {}
    return free_ports(names, remembered=recipe.run_directory / LAUNCH / PORTS)


def _added(recipe: Recipe, order: Order, models: Sequence[Served], servers: Sequence[Part]) -> list[str]:
    """The overrides that send the trainer to its servers, and make it one of several ranks."""
    added = [
        model.override([part.url for part in servers if part.url and part.name.rpartition("-")[0] == model.name])
        for model in models
    ]
    if order.ranks * order.machines > 1 and recipe.engine.kind == "local":
        added.append("engine.kind=cluster")
    return added


def _notices(order: Order, models: Sequence[Served], shares: Shares) -> tuple[str, ...]:
    found = [shares.notice] if shares.notice else []
    if any(model.program == "sglang" for model in models):
        found.append("SGLang takes a key on its command line alone, so its servers ask for none.")
    if not order.is_alone and models:
        found.append(
            "The servers listen on all addresses of their machine: run this on a private network. Every machine needs "
            "the same files under the same names, and the same keys in its environment."
        )
    return tuple(found)
