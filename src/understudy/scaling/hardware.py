"""What a device can do: figures of data sheets, and how much of them is reached, which is measured or assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from understudy.errors import UserMistakeError


@dataclass(frozen=True)
class Pace:
    """How a kind of work runs on a device.

    Args:
        products: share of the device's rate that matrix products reach. traffic: share of its memory's rate.
        call_seconds: that one layer costs in one pass beside both, whatever its size.
    """

    products: float
    traffic: float
    call_seconds: float


@dataclass(frozen=True)
class Hardware:
    """One device and what connects it with others.

    Args:
        name: of it. bfloat16_flops, float32_flops: a second, of dense products. memory_bytes: it has.
        memory_rate: bytes a second. devices_per_machine: that ``link_rate`` connects.
        link_rate, network_rate: bytes a second of one device, one way, within a machine and between machines.
        writes_attention: the weights of attention go through memory, as they do where no fused kernel makes them.
        sampling, scoring, updating: see ``Pace``. source: where the figures come from.
    """

    name: str
    bfloat16_flops: float
    float32_flops: float
    memory_bytes: float
    memory_rate: float
    devices_per_machine: int
    link_rate: float
    network_rate: float
    sampling: Pace
    scoring: Pace
    updating: Pace
    source: str
    writes_attention: bool = False

    def flops(self, dtype: str) -> float:
        """The rate of products in ``float32`` or ``bfloat16``."""
        return self.bfloat16_flops if dtype == "bfloat16" else self.float32_flops

    def rate_between(self, devices: int) -> float:
        """Bytes a second of one device among so many that take part."""
        return self.link_rate if devices <= self.devices_per_machine else self.network_rate

    @property
    def ideal(self) -> Hardware:
        """The same without anything that grows with the number of devices: no time on links, none for calls."""
        paces = {name: replace(getattr(self, name), call_seconds=0.0) for name in _PACES}
        return replace(self, name=f"ideal {self.name}", link_rate=float("inf"), network_rate=float("inf"), **paces)


_PACES = ("sampling", "scoring", "updating")
# Assumed, not measured here: 40 to 60 % of the peak is what scoring and training should reach for models of 1 B and
# more; copies alone were measured at 0.9 of an H200's memory rate, and kernels other than copies reach less.
# A layer's calls in a decoding step: with CUDA graphs; in a pass over thousands of tokens they hide behind the work.
_ASSUMED = (
    Pace(products=0.5, traffic=0.7, call_seconds=1e-5),  # sampling
    Pace(products=0.5, traffic=0.7, call_seconds=2e-5),  # scoring
    Pace(products=0.4, traffic=0.7, call_seconds=6e-5),  # updating
)
_SOURCE = "NVIDIA's data sheet (dense products, SXM); shares of it are assumptions"
PRESETS = {
    # float32 products run as TF32 here. NVLink figures are halves of the data sheets' (both ways); networks are those
    # of the reference machines: 400 Gbit/s a device beside H100 and H200, 200 Gbit/s beside A100.
    "h200": Hardware("H200", 989e12, 494e12, 141e9, 4.8e12, 8, 450e9, 50e9, *_ASSUMED, source=_SOURCE),
    "h100": Hardware("H100", 989e12, 494e12, 80e9, 3.35e12, 8, 450e9, 50e9, *_ASSUMED, source=_SOURCE),
    "a100": Hardware("A100 80 GB", 312e12, 156e12, 80e9, 2.04e12, 8, 300e9, 25e9, *_ASSUMED, source=_SOURCE),
}
CPU_PACES = {
    "sampling": Pace(products=0.585, traffic=1.0, call_seconds=4.9e-5),
    "scoring": Pace(products=0.984, traffic=1.0, call_seconds=2.3e-3),
    "updating": Pace(products=0.929, traffic=1.0, call_seconds=0.0),
}
"""Fitted to the three runs of ``benchmarks/scale.py`` that are for it (docs/design/scale.md)."""


def hardware_from(file: Path) -> Hardware:
    """The device that a YAML file describes: every field, or ``like:`` one of the presets and what differs from it.

    Raises:
        UserMistakeError: the file cannot be read, or a field is missing, unknown or not above 0.
    """
    try:
        raw = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserMistakeError(f"{file} cannot be read as hardware", got=reason, expected="YAML") from error
    names = [field.name for field in fields(Hardware)]
    if not isinstance(raw, Mapping) or set(raw) - {*names, "like"}:
        unknown = sorted(map(str, set(raw) - {*names, "like"})) if isinstance(raw, Mapping) else raw
        raise UserMistakeError(f"{file} does not describe hardware", got=unknown, expected="like, " + ", ".join(names))
    like = raw.get("like")
    if like is not None and (not isinstance(like, str) or like not in PRESETS):
        raise UserMistakeError(f"{file} is like nothing known", got=like, expected=", ".join(PRESETS))
    given = {**({} if like is None else asdict(PRESETS[like])), "name": file.stem, "source": str(file)}
    given |= {name: value for name, value in raw.items() if name != "like"}
    missing = [name for name in names if name not in given and name != "writes_attention"]
    if missing:
        raise UserMistakeError(f"{file} lacks a field", got=", ".join(missing), remedy="Add it, or say like: h100.")
    return Hardware(**{name: _checked(file, name, value) for name, value in given.items()})


def _checked(file: Path, name: str, value: Any) -> Any:
    if name in ("name", "source"):
        return str(value)
    if name == "writes_attention":
        if not isinstance(value, bool):
            raise UserMistakeError(f"{file}: {name} cannot be used", got=value, expected="true or false")
        return value
    if name in _PACES:
        parts = [field.name for field in fields(Pace)]
        if not isinstance(value, Mapping) or set(value) != set(parts):
            raise UserMistakeError(f"{file}: {name} is no pace", got=value, expected=", ".join(parts))
        return Pace(**{part: _number(file, f"{name}.{part}", value[part]) for part in parts})
    number = _number(file, name, value)
    if name != "devices_per_machine":
        return number
    if number != int(number):
        raise UserMistakeError(f"{file}: {name} cannot be used", got=value, expected="a whole number above 0")
    return int(number)


def _number(file: Path, name: str, value: Any) -> float:
    try:
        number = float(value)  # YAML reads 1e12 as text
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number < math.inf or isinstance(value, bool):
        raise UserMistakeError(f"{file}: {name} cannot be used", got=value, expected="a number above 0")
    return number
