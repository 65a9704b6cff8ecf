"""How servers that sample are given the student's weights: through a folder, or from memory to memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from understudy.engines.local import LocalPolicy
from understudy.engines.pushed_weights import PushedWeights, named_weights, weights_as_saved
from understudy.engines.served_sampler import ServedSampler
from understudy.engines.supply import FolderWeights, Supply
from understudy.servers.pushing import Form, Pusher
from understudy.servers.pushing_sglang import SglangForm
from understudy.servers.pushing_vllm import VllmForm
from understudy.servers.weight_group import Backend
from understudy.training.ranks import Ranks, gathered

WEIGHTS = "weights"
"""Folder of a run through which servers are given weights."""

GROUPS = ("group", "nccl")
"""Values of ``rollout.weights`` that mean a process group; ``nccl`` is the word that other programs have for it."""


def supply_of(
    weights: str,
    policy: LocalPolicy,
    served: ServedSampler,
    *,
    run: Path | None,
    ranks: Ranks,
    meet: Callable[[], None],
) -> Supply:
    """The way that ``rollout.weights`` names.

    Args:
        run: folder of the run, seen by the servers; None takes a temporary one. ranks: the first gives the weights.
        meet: returns once every rank has called it, on the thread that samples.
    """
    is_lead = ranks.rank == 0
    if weights not in GROUPS:
        folder = _folder(run, is_lead=is_lead)

        def save(place: Path) -> Path:
            """Where the first rank has written them."""
            return Path(gathered(ranks, str(policy.save_model(place)))[0])

        return FolderWeights(save, served, folder, adopt=None if is_lead else served.adopt, meet=meet)
    served.push_with(Pusher(_form(policy, served)) if is_lead else None)
    if is_lead and ranks.size > 1:
        served.look_after_servers()
    names = named_weights if served.identity.kind == "understudy" else weights_as_saved

    def live() -> Mapping[str, Tensor]:
        """Of the first rank's whole copy; others may have none."""
        return names(policy.sampling_model)

    return PushedWeights(
        live,
        served,
        expect=None if is_lead else served.expect,
        share=lambda label: str(gathered(ranks, label)[0]),
        meet=meet,
    )


def _folder(run: Path | None, *, is_lead: bool) -> Path:
    """Where the first rank writes; what the others call theirs, without a run's folder, is never made."""
    if run is not None:
        return run / WEIGHTS
    return Path(tempfile.mkdtemp(prefix="understudy-") if is_lead else WEIGHTS)


def _form(policy: LocalPolicy, served: ServedSampler) -> Form:
    """How the servers take weights; each wait of a push is as long as an answer may take."""
    identity, seconds = served.identity, served.pool.settings.timeout_seconds
    own: Backend = "nccl" if policy.device.type == "cuda" else "gloo"
    if identity.kind == "sglang":
        return SglangForm(own, seconds)
    if identity.kind == "understudy":
        return VllmForm(own if identity.device == "cuda" else "gloo", seconds)
    return VllmForm(None, seconds)
