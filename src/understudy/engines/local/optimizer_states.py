"""AdamW whose two averages take 2 or 1 bytes a weight in place of 4.

``bfloat16`` rounds both averages stochastically: with beta2 near 1 an average changes by less than half of bfloat16's
last bit a step, so that rounding to the nearest would leave it where it is for ever; a draw moves it by the right
amount on average. ``int8`` keeps a byte a value and a scale for each block of values, in the dynamic code of Dettmers
et al., arXiv:2110.02861; the second average is kept as its root, which halves its range in decades. An update always
uses the averages of this step before they are rounded. Draws are keyed by (seed, update).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from understudy.engines.local.dynamic_code import BLOCK, Coded, decode, encode
from understudy.randomness import derived_seed

States = Literal["float32", "bfloat16", "int8"]
"""How the averages of AdamW are kept."""

# Below this a parameter's averages stay float32, as in bitsandbytes: they cost nothing, and norms and biases matter.
SMALLEST = 4096
# Values worked on at one time: bounds the float32 copies of an embedding's averages. A multiple of BLOCK.
_SLICE = 1 << 22


def kept_in(p: Tensor, states: States) -> States:
    """How this parameter's averages are kept: small ones always in float32."""
    return states if p.numel() >= SMALLEST else "float32"


@dataclass(frozen=True)
class Form:
    """Of a tensor. Args: shape, dtype: as torch has them."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def state_forms(p: Tensor, states: States) -> dict[str, Form]:
    """The tensors that AdamW keeps for a parameter, by name."""
    names, shape = ("exp_avg", "exp_avg_sq"), tuple(p.shape)
    match kept_in(p, states):
        case "float32":
            own = dict.fromkeys(names, Form(shape, p.dtype))
        case "bfloat16":
            own = dict.fromkeys(names, Form(shape, torch.bfloat16))
        case "int8":
            scale = Form((-(-p.numel() // BLOCK),), torch.float32)
            own = dict.fromkeys(names, Form(shape, torch.uint8)) | {f"{name}_scale": scale for name in names}
    return own | {"step": Form((), torch.float32)}


class CompactAdamW(torch.optim.Optimizer):
    """AdamW with averages of ``states``; its groups and what it computes are those of ``torch.optim.AdamW``.

    Args:
        groups: each with ``params`` and ``weight_decay``. seed: keys the draws of stochastic rounding.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        states: States,
        seed: int,
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps})
        self._states, self._seed = states, seed

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        assert closure is None
        moving = [(group, p) for group in self.param_groups for p in group["params"] if p.grad is not None]
        for _, p in moving:  # all memory is taken before any weight moves
            if not self.state[p]:
                self.state[p] = _fresh(p, self._states)
        if not moving:
            return
        update = max(int(self.state[p]["step"]) for _, p in moving)
        generator = torch.Generator(moving[0][1].device)
        generator.manual_seed(derived_seed(seed=self._seed, step=update, purpose="rounding of averages"))
        for group, p in moving:
            self.state[p]["step"] += 1
            _update(p, self.state[p], group, generator)


def _fresh(p: nn.Parameter, states: States) -> dict[str, Tensor]:
    return {
        name: torch.zeros(form.shape, dtype=form.dtype, device="cpu" if name == "step" else p.device)
        for name, form in state_forms(p, states).items()
    }


def _update(p: nn.Parameter, state: dict[str, Tensor], group: dict[str, Any], generator: torch.Generator) -> None:
    assert p.grad is not None
    beta1, beta2 = group["betas"]
    step = int(state["step"])
    rate, correction = group["lr"] / (1 - beta1**step), (1 - beta2**step) ** 0.5
    p.mul_(1 - group["lr"] * group["weight_decay"])
    flat, grads = p.view(-1), p.grad.reshape(-1)
    for part in _slices(p.numel()):
        grad = grads[part].to(torch.promote_types(p.dtype, torch.float32))
        mean, square = _read(state, part, grad.dtype)
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        flat[part].addcdiv_(
            mean.to(p.dtype), square.sqrt().div_(correction).add_(group["eps"]).to(p.dtype), value=-rate
        )
        _write(state, part, mean, square, generator)


def _slices(count: int) -> Iterator[slice]:
    for start in range(0, count, _SLICE):
        yield slice(start, min(count, start + _SLICE))


def _blocks(part: slice) -> slice:
    return slice(part.start // BLOCK, -(-part.stop // BLOCK))


def _read(state: dict[str, Tensor], part: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Both averages of a slice, as fresh tensors."""
    mean, square = state["exp_avg"].view(-1)[part], state["exp_avg_sq"].view(-1)[part]
    if mean.dtype != torch.uint8:
        return mean.to(dtype, copy=True), square.to(dtype, copy=True)
    scales = state["exp_avg_scale"][_blocks(part)], state["exp_avg_sq_scale"][_blocks(part)]
    root = decode(Coded(square, scales[1]), signed=False).to(dtype)
    return decode(Coded(mean, scales[0]), signed=True).to(dtype), root.mul_(root)


def _write(state: dict[str, Tensor], part: slice, mean: Tensor, square: Tensor, generator: torch.Generator) -> None:
    for name, values in (("exp_avg", mean), ("exp_avg_sq", square)):
        kept = state[name].view(-1)[part]
        if kept.dtype == torch.uint8:
            signed = name == "exp_avg"
            coded = encode(values if signed else values.sqrt(), signed=signed, generator=generator)
            kept.copy_(coded.codes)
            state[f"{name}_scale"][_blocks(part)] = coded.scales
        else:
            kept.copy_(to_bfloat16(values, generator) if kept.dtype == torch.bfloat16 else values)


def to_bfloat16(values: Tensor, generator: torch.Generator) -> Tensor:
    """Rounded to one of the two neighbours in bfloat16, each as likely as the other is far; so right on average."""
    bits = values.float().view(torch.int32)
    noise = torch.randint(1 << 16, bits.shape, generator=generator, device=bits.device, dtype=torch.int32)
    # Adding below the bits that are kept carries into them as often as the part below them is large.
    return bits.add(noise).bitwise_and_(-(1 << 16)).view(torch.float32).to(torch.bfloat16)
