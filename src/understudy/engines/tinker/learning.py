"""One plan's gradient on the service: a loss of its own in one pass, or ours on the log-probs that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from understudy.engines.tinker.layout import Layout, Wanted, layout_of
from understudy.engines.tinker.native import Native, native_inputs, native_plan
from understudy.engines.tinker.service import TinkerService
from understudy.errors import NonFiniteError, ServerAnswerError
from understudy.objectives.row_losses import evaluate
from understudy.plans import Divergence, Ids, Likelihood, LossTerm
from understudy.tokens import Batch

if TYPE_CHECKING:
    import tinker


@dataclass(frozen=True, eq=False)
class Learned:
    """What the service accumulated.

    Args:
        sums: of each term. num_tokens: that went through the model once. native: the service's own loss; None for a
            custom one. is_finite: the sums and the gradient are. A custom loss that is not left nothing on the
            service; one of its own did.
    """

    sums: dict[str, float]
    num_tokens: int
    native: Native | None = None
    is_finite: bool = True


def accumulate(
    service: TinkerService, client: tinker.TrainingClient, batch: Batch, terms: Sequence[LossTerm]
) -> Learned:
    """Add the gradient of these terms to what the service holds.

    Args:
        terms: with rows, without weights of zero, on ids.
    Raises:
        NonFiniteError: a constant of a term is NaN or infinite; nothing was sent.
    """
    for term in terms:
        _refuse_non_finite_constants(term)
    layout, native = _layout_of(batch, terms), native_plan(terms)
    if native is None:
        return _custom(service, client, layout, terms)
    return _native(service, client, layout, terms, native)


def _layout_of(batch: Batch, terms: Sequence[LossTerm]) -> Layout:
    wanted = [Wanted(term.rows, term.support.ids) for term in terms if isinstance(term.support, Ids)]
    contexts = [context.ids for context in batch.contexts]
    return layout_of(contexts, batch.table["context"], batch.table["position"], wanted)


def _native(
    service: TinkerService, client: tinker.TrainingClient, layout: Layout, terms: Sequence[LossTerm], native: Native
) -> Learned:
    parts = [native_inputs(native, term) for term in terms]
    columns = {name: layout.by_datum(layout.scattered([part[name] for part in parts])) for name in parts[0]}
    data = data_of(layout, columns)
    output = service.result(client.forward_backward(data, native.name, dict(native.config) or None), "a learning pass")
    live = layout.from_datums(logprobs_of(output, layout))
    sums = {term.name: float(value) for term, value in zip(terms, _values(layout, terms, live), strict=True)}
    return Learned(sums, layout.num_tokens, native, is_finite=all(map(np.isfinite, sums.values())))


def _custom(
    service: TinkerService, client: tinker.TrainingClient, layout: Layout, terms: Sequence[LossTerm]
) -> Learned:
    """The service gives log-probs, the gradient with respect to them is made here, and the service carries it on."""
    sums: dict[str, float] = {}
    broken: list[bool] = []

    def loss(_: Any, logprobs: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
        live = layout.from_datums(logprobs)
        values = _values(layout, terms, live)
        sums.update({term.name: float(value.detach()) for term, value in zip(terms, values, strict=True)})
        slopes = torch.autograd.grad(torch.stack(values).sum(), logprobs)
        if not all(bool(slope.isfinite().all()) for slope in slopes) or not all(map(np.isfinite, sums.values())):
            # The service is to take no gradient then, and the SDK's client would serve no more after an error.
            broken.append(True)
            slopes = tuple(map(torch.zeros_like, slopes))
        # All that the SDK takes of a loss is its gradient; of an impossible token's -inf this makes no NaN.
        linear = [(slope * part.nan_to_num()).sum() for slope, part in zip(slopes, logprobs, strict=True)]
        return torch.stack(linear).sum(), {}

    zeros = layout.by_datum(torch.zeros(layout.targets.shape))
    data = data_of(layout, {"weights": zeros})
    service.result(client.forward_backward_custom(data, loss), "a learning pass")
    return Learned(sums, layout.num_tokens, is_finite=not broken)


def _values(layout: Layout, terms: Sequence[LossTerm], live: Tensor) -> list[Tensor]:
    """Each term's sum from live log-probs [R, K]."""
    values = []
    for term, part in zip(terms, layout.gathered(live.double()), strict=True):
        assert isinstance(term.support, Ids)
        rows = evaluate(_double(term).row_loss, part, valid=term.support.valid)
        values.append((term.weights.double() * rows).sum())
    return values


def _double(term: LossTerm) -> LossTerm:
    changes: dict[str, Any] = {name: value.double() for name, value in _constants(term).items()}
    return replace(term, row_loss=replace(term.row_loss, **changes))


def _constants(term: LossTerm) -> dict[str, Tensor]:
    loss = term.row_loss
    if isinstance(loss, Likelihood):
        found = {"advantage": loss.advantage, "old_logprob": loss.old_logprob}
    else:
        found = {"target": loss.target}
    return {name: value for name, value in found.items() if value is not None}


def _refuse_non_finite_constants(term: LossTerm) -> None:
    assert isinstance(term.support, Ids)
    valid = term.support.valid
    for name, value in {**_constants(term), "weights": term.weights}.items():
        counted = value if valid is None or value.ndim == 1 else value[valid]
        # A target of no mass is -inf, and has a floor; no other constant may be infinite.
        is_target = isinstance(term.row_loss, Divergence) and name == "target"
        bad = counted.isnan() if is_target else ~counted.isfinite()
        if bool(bad.any()):
            raise NonFiniteError(f"the loss term {term.name!r} is not finite", got=f"{name} {float(counted[bad][0])}")


def data_of(layout: Layout, columns: dict[str, list[Tensor]]) -> list[tinker.Datum]:
    """One datum a context; two-dimensional columns travel sparse where that is smaller."""
    import tinker

    everything = {"target_tokens": layout.by_datum(layout.targets), **columns}
    data = []
    for number, ids in enumerate(layout.inputs):
        inputs: Any = {name: parts[number] for name, parts in everything.items()}  # the SDK takes tensors as they are
        data.append(tinker.Datum(model_input=tinker.ModelInput.from_ints(ids.tolist()), loss_fn_inputs=inputs))
    return data


def logprobs_of(output: tinker.ForwardBackwardOutput, layout: Layout) -> list[Tensor]:
    """[T, K] or [T] a datum, as the service returned them.

    Raises:
        ServerAnswerError: they are missing, or of another shape.
    """
    parts = [one["logprobs"].to_torch() if "logprobs" in one else torch.zeros(0) for one in output.loss_fn_outputs]
    sizes = [ids.numel() * layout.targets.shape[1] for ids in layout.inputs]
    if [part.numel() for part in parts] != sizes:
        raise ServerAnswerError(
            "the Tinker service returned other log-probs than were asked for",
            got=f"{[tuple(part.shape) for part in parts][:4]}",
            expected=f"{len(sizes)} parts of {sizes[:4]} values",
        )
    return parts
