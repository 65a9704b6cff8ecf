"""The output head of a served model, fetched once, so that its hidden states become logits on this side."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.nn.functional import linear

from understudy.errors import ServerAnswerError
from understudy.servers.background import background
from understudy.servers.http import Call
from understudy.servers.pool import ServerPool
from understudy.servers.probing import Server

HEAD = "/understudy/head"
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, eq=False)
class ServedHead:
    """Callable: hidden [M, H] -> logits [M, V], float32, over the shared vocabulary.

    Args:
        weight: [V, H]. bias: [V] or None. scale, cap: logits are multiplied, then soft-capped where there is a cap.
    """

    weight: Tensor
    bias: Tensor | None
    scale: float = 1.0
    cap: float | None = None

    @torch.no_grad()
    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits before temperature."""
        bias = None if self.bias is None else self.bias.float()
        logits = linear(hidden.float(), self.weight.float(), bias) * self.scale
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap


def fetched_head(pool: ServerPool, server: Server, *, vocab_size: int, device: torch.device) -> Callable[..., Tensor]:
    """The server's head, cut to the shared vocabulary.

    Raises:
        ServerAnswerError: it is cut short, of another size, or of other weights than the probe found.
    """
    identity = server.identity

    def read(content: bytes) -> ServedHead:
        return head_from(
            content,
            size=(identity.vocab_size or vocab_size, identity.hidden_size or 0),
            fingerprint=identity.fingerprint,
            vocab_size=vocab_size,
        )

    head = background().run(pool.ask(Call(HEAD, read, is_json=False)))
    bias = None if head.bias is None else head.bias.to(device)
    return ServedHead(head.weight.to(device), bias, head.scale, head.cap)


def head_from(content: bytes, *, size: tuple[int, int], fingerprint: str, vocab_size: int) -> ServedHead:
    """The head in the bytes of a safetensors file.

    Args:
        size: (V, H) that the server told. fingerprint: that it told. vocab_size: rows to keep, at most V.
    Raises:
        ServerAnswerError: not such a file, or another size or fingerprint.
    """
    said = _metadata(content)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise _malformed(f"{len(content):,} bytes that are no safetensors file") from error
    weight, bias = tensors.get("weight"), tensors.get("bias")
    if weight is None or tuple(weight.shape) != size or (bias is not None and tuple(bias.shape) != size[:1]):
        shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
        raise _malformed(str(shapes), expected=f"weight {list(size)}")
    if not bool(weight.isfinite().all()) or (bias is not None and not bool(bias.isfinite().all())):
        raise _malformed("NaN or infinity")
    if said.get("fingerprint", fingerprint) != fingerprint:
        raise _malformed(f"fingerprint {said['fingerprint']}", expected=fingerprint)
    cap = _number(said.get("cap"))
    bias = None if bias is None else bias[:vocab_size].clone()
    return ServedHead(weight[:vocab_size].clone(), bias, _number(said.get("scale")) or 1.0, cap or None)


def _metadata(content: bytes) -> Mapping[str, str]:
    """What the file's header says beside its tensors."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        if length > min(_LONGEST_HEADER, len(content)):
            raise ValueError
        found = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        return {str(key): str(value) for key, value in found.items()}
    except (struct.error, ValueError, AttributeError) as error:
        raise _malformed(f"{len(content):,} bytes that are no safetensors file") from error


def _number(text: str | None) -> float | None:
    if text is None or text in ("", "None", "none", "null"):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise _malformed(f"the number {text!r}") from error


def _malformed(got: str, *, expected: str | None = None) -> ServerAnswerError:
    return ServerAnswerError(
        "the server's output head is malformed",
        got=got,
        expected=expected,
        remedy="Restart it; it may have other weights than before.",
    )
