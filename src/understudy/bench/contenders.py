"""The rows of a comparison: methods, and variants of methods, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from understudy.errors import UserMistakeError
from understudy.objectives.methods import METHODS
from understudy.recipe.outline import nearest


@dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Args:
        name: in tables and folders. objective: a recipe's section: ``method``, and fields that are not the default.
        reference: the model behind ``reference`` where the method reads one. tells: it learns from a file of the
            teachers' own solutions, written once, in place of the data's.
    """

    name: str
    objective: Mapping[str, object] = field(default_factory=dict)
    reference: str = "initial"
    tells: bool = False


QUICK_METHODS = (
    "sft",
    "seq_kd",
    "opd",
    "gkd",
    "entropy_opd",
    "eopd",
    "reopold",
    "tropd",
    "aopd",
    "exopd",
    "local_support",
    "grpo",
)
"""The methods of ``--quick``: the baselines, and one of each way to treat a token."""

FULL_METHODS = (
    *QUICK_METHODS,
    "topk_fkl",
    "jsd_topk",
    "distillm",
    "minillm",
    "rethinking",
    "tip",
    "veto",
    "power_opd",
    "vopd",
    "iw_opd",
    "kdrl",
    "scope",
)
"""The methods of a full comparison: all that read a teacher or a reward of single turns."""


def by_method(names: Iterable[str]) -> tuple[Contender, ...]:
    """One contender a method, with its default fields."""
    return tuple(Contender(name, {"method": name}) for name in names)


def extrapolations(scales: Sequence[float], *, reference: str = "initial", suffix: str = "") -> tuple[Contender, ...]:
    """G-OPD at each lambda."""
    return tuple(
        Contender(f"gopd-{scale:g}{suffix}", {"method": "gopd", "lambda": scale}, reference=reference)
        for scale in scales
    )


ABLATION_TROPD = (
    Contender("opd", {"method": "opd"}),
    Contender("jsd_topk", {"method": "jsd_topk"}),
    Contender("entropy_opd", {"method": "entropy_opd"}),
    Contender("mask-outlier", {"method": "tropd", "region": "static", "outliers": "mask", "guidance": False}),
    Contender("clip-outlier", {"method": "tropd", "region": "static", "outliers": "clip", "guidance": False}),
    Contender("fkl-outlier", {"method": "tropd", "guidance": False}),
    Contender("tropd-mask", {"method": "tropd", "region": "static", "outliers": "mask"}),
    Contender("tropd-clip", {"method": "tropd", "region": "static", "outliers": "clip"}),
    Contender("tropd-fkl", {"method": "tropd"}),
)
"""The rows of TrOPD's ablation: two baselines, three ways to treat outliers, and the three with guidance."""

ABLATIONS: Mapping[str, tuple[Contender, ...]] = {"tropd": ABLATION_TROPD}


def method_names() -> list[str]:
    """Every method there is."""
    return [str(config.model_fields["method"].default) for config in METHODS]


def chosen(names: Sequence[str], among: Sequence[Contender]) -> tuple[Contender, ...]:
    """The contenders of these names: of the setting's own, or methods with their default fields; each once.

    Raises:
        UserMistakeError: nobody has such a name; the nearest are told.
    """
    own = {contender.name: contender for contender in among}
    found: dict[str, Contender] = {}
    for name in names:
        if name not in own and name not in method_names():
            raise _unknown(name, [*own, *method_names()])
        found[name] = own.get(name) or by_method([name])[0]
    return tuple(found.values())


def _unknown(name: str, known: Sequence[str]) -> UserMistakeError:
    right = nearest(name, known)
    listed = ", ".join(sorted(dict.fromkeys(known)))
    remedy = f"Did you mean {right!r}?" if right else None
    return UserMistakeError("no method has that name", got=repr(name), expected=f"one of {listed}", remedy=remedy)
