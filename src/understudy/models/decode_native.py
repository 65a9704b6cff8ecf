"""The decoding step of ``decode_step.py`` in compiled C: all layers in one call, and the weights fetched ahead."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from ctypes import POINTER, Structure, byref, c_float, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from understudy.models.decode_weights import LayerWeights, Product, StepWeights
from understudy.models.native import library, shares_of, threads
from understudy.models.sampling_cache import ReservedLayer, in_float32

_SOURCE = Path(__file__).with_name("decode_kernel.c")
# Fewer rows, or panels of the head, are not worth a thread of their own.
_FEWEST_ROWS = 8
_FEWEST_PANELS = 32
# A row of key columns is a whole number of the widest registers.
_COLUMNS = 64


class _Product(Structure):
    _fields_ = (("panels", c_void_p), ("bias", c_void_p), ("depth", c_int64), ("width", c_int64))


class _Layer(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("before", "between", "head_norm")),
        *((name, _Product) for name in ("qkv", "out", "gate_up", "down")),
        *((name, c_void_p) for name in ("keys", "values", "columns")),
    )


class _Model(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("hidden", "heads", "groups", "head_width", "inner", "num_layers")),
        ("epsilon", c_float),
        *((name, c_void_p) for name in ("norm", "cosine", "sine")),
        ("layers", POINTER(_Layer)),
    )


@cache
def _kernel() -> Any:
    """The library with its functions' types, or None."""
    made = library(_SOURCE)
    if made is not None:
        made.panel_width.restype = made.row_scratch.restype = c_int64
        made.row_scratch.argtypes = (POINTER(_Model), c_int64)
        pointers, numbers = (c_void_p,) * 3, (c_int64,) * 3
        made.decode_rows.argtypes = (POINTER(_Model), c_int64, c_int64, *pointers, *numbers, c_void_p)
        made.multiply_columns.argtypes = (
            c_void_p,
            *(c_int64,) * 2,
            POINTER(_Product),
            *(c_int64,) * 2,
            c_void_p,
            c_int64,
        )
        made.decode_rows.restype = made.multiply_columns.restype = None
    return made


def native_step(weights: StepWeights) -> NativeStep | None:
    """The step in C; None without a compiler, and where a layer's products are not float32."""
    layer = weights.layers[0]
    if any(p.weight.dtype != torch.float32 for p in (layer.qkv, layer.out, layer.gate_up, layer.down)):
        return None
    return NativeStep(weights) if _kernel() is not None else None


class NativeStep:
    """What ``DecodeStep`` gives, with the sums of a row in an order that no other row changes.

    Args:
        weights: of layers in float32.
    """

    def __init__(self, weights: StepWeights) -> None:
        self._held = list[Tensor]()
        self._caches: list[_Storage] = [_Storage() for _ in weights.layers]
        self._head = self._columns(weights.head) if weights.head.weight.dtype == torch.float32 else weights.head
        self._layers = (_Layer * len(weights.layers))(*map(self._layer, weights.layers))
        self._model = _Model(
            hidden=weights.norm.numel(),
            heads=weights.heads,
            groups=weights.groups,
            head_width=weights.head_width,
            inner=weights.layers[0].down.weight.shape[0],
            num_layers=len(weights.layers),
            epsilon=weights.epsilon,
            norm=self._hold(weights.norm),
            cosine=self._hold(weights.cosine),
            sine=self._hold(weights.sine),
            layers=self._layers,
        )
        # Rows of the residual are padded to whole panels, with zeros.
        missing = -weights.norm.numel() % _kernel().panel_width()
        self._embedding = functional.pad(weights.embedding, (0, missing)) if missing else weights.embedding

    def __call__(self, ids: Tensor, *, mask: Tensor, position: Tensor, cache: Any) -> Tensor:
        """[b, V] logits after the tokens ``ids`` [b, 1], whose keys and values are added to the cache.

        Args:
            mask: [b, length so far + 1] bool. position: [b, 1] in the text. cache: of ``ReservedLayer``.
        """
        with torch.autocast("cpu", enabled=False):  # what is cast has been cast already
            x = functional.embedding(ids.squeeze(1), self._embedding)
            self._read(x, mask=mask.contiguous(), place=position.squeeze(1).contiguous(), cache=cache)
            return self._head(x[:, : self._model.hidden])

    def _read(self, x: Tensor, *, mask: Tensor, place: Tensor, cache: Any) -> None:
        at = [in_float32(stored).extend(1) for stored in cache.layers].pop()
        for layer, storage, stored in zip(self._layers, self._caches, cache.layers, strict=True):
            storage.follow(stored, layer)
        reserve, columns = cache.layers[0].keys.shape[2], self._caches[0].columns.shape[3]
        scratch = torch.empty(x.shape[0], _kernel().row_scratch(byref(self._model), columns))

        def read(rows: range) -> None:
            _kernel().decode_rows(
                *(byref(self._model), rows.start, len(rows), x[rows.start :].data_ptr(), place.data_ptr()),
                *(mask.data_ptr(), at, reserve, columns, scratch[rows.start :].data_ptr()),
            )

        _in_parts(read, x.shape[0], fewest=_FEWEST_ROWS)

    def _columns(self, head: Product) -> Callable[[Tensor], Tensor]:
        """The head in C: each thread has columns of its own, so that a wide vocabulary is read once."""
        made, width = self._product(head), head.weight.shape[1]

        def multiply(x: Tensor) -> Tensor:
            y = torch.empty(x.shape[0], made.width)

            def part(panels: range) -> None:
                first, last = (_kernel().panel_width() * edge for edge in (panels.start, panels.stop))
                _kernel().multiply_columns(
                    *(x.data_ptr(), x.stride(0), x.shape[0], byref(made), first, last, y.data_ptr(), made.width)
                )

            _in_parts(part, made.width // _kernel().panel_width(), fewest=_FEWEST_PANELS)
            return y[:, :width]

        return multiply

    def _layer(self, layer: LayerWeights) -> _Layer:
        return _Layer(
            before=self._hold(layer.before),
            between=self._hold(layer.between),
            head_norm=None if layer.head_norm is None else self._hold(layer.head_norm),
            qkv=self._product(layer.qkv),
            out=self._product(layer.out),
            gate_up=self._product(layer.gate_up, parts=2),
            down=self._product(layer.down),
        )

    def _product(self, source: Product, parts: int = 1) -> _Product:
        """The weights in panels; each of ``parts`` that stand side by side is filled up to whole panels with zeros."""
        panel, depth = _kernel().panel_width(), source.weight.shape[0]
        filled = torch.cat([_filled(part, panel) for part in source.weight.chunk(parts, dim=1)], dim=1)
        bias = None
        if source.bias is not None:
            bias = self._hold(torch.cat([_filled(part, panel) for part in source.bias.chunk(parts)]))
        panels = self._hold(filled.view(depth, -1, panel).transpose(0, 1))
        return _Product(panels=panels, bias=bias, depth=depth, width=filled.shape[1])

    def _hold(self, tensor: Tensor) -> int:
        """Where the numbers lie, for as long as this object lives."""
        self._held.append(tensor.float().contiguous())
        return self._held[-1].data_ptr()


class _Storage:
    """What a layer's pointers into its cache were made for, and its keys by column, which last as long as they do."""

    def __init__(self) -> None:
        self._keys: weakref.ref[Tensor] | None = None
        self.columns = torch.zeros(0)

    def follow(self, stored: ReservedLayer, layer: _Layer) -> None:
        """Point ``layer`` at the cache, which the first step, rows that came or left, and more room make anew."""
        if self._keys is not None and self._keys() is stored.keys:
            return
        self._keys = weakref.ref(stored.keys, self._let_go)
        rows, groups, reserve, width = stored.keys.shape
        self.columns = stored.keys.new_zeros(rows, groups, width, reserve + -reserve % _COLUMNS)
        self.columns[..., : stored.length - 1] = stored.keys[:, :, : stored.length - 1].transpose(2, 3)
        layer.keys, layer.values = stored.keys.data_ptr(), stored.values.data_ptr()
        layer.columns = self.columns.data_ptr()

    def _let_go(self, of: weakref.ref[Tensor]) -> None:
        if self._keys is of:
            self.columns = torch.zeros(0)


def _in_parts(work: Callable[[range], None], count: int, *, fewest: int) -> None:
    shares = shares_of(count, fewest=fewest)
    list(threads().map(work, shares)) if len(shares) > 1 else work(shares[0])


def _filled(weight: Tensor, panel: int) -> Tensor:
    return functional.pad(weight, (0, -weight.shape[-1] % panel))
