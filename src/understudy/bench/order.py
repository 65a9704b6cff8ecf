"""What is to be compared, as it was asked for, and who takes part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.bench.contenders import ABLATIONS, Contender, chosen
from understudy.bench.plan import RatePolicy, Scale
from understudy.bench.settings import SETTINGS, Setting
from understudy.errors import UserMistakeError
from understudy.recipe.outline import nearest

FULL = Scale()
QUICK = Scale(steps=30, seeds=3, problems=300)
"""Of ``--quick``: under a quarter of an hour on two cores."""


@dataclass(frozen=True)
class Order:
    """What is to be compared.

    Args:
        setting: name of one of ``SETTINGS``. rates: where learning rates come from. methods: names of contenders;
            empty takes the setting's own. ablation: of which method, in place of the setting's contenders.
        quick: the setting's shorter list. scale: of the runs. out: folder. processes: side by side.
        command: as it was given, for the records.
    """

    setting: str = "matched"
    rates: RatePolicy = "unified"
    methods: tuple[str, ...] = ()
    ablation: str | None = None
    quick: bool = False
    scale: Scale = FULL
    out: Path = Path("runs/bench-methods")
    processes: int = 2
    command: str = "understudy bench methods"


def setting_named(name: str) -> Setting:
    """The setting of that name; raises UserMistakeError where there is none."""
    if name not in SETTINGS:
        right = nearest(name, SETTINGS)
        remedy = f"Did you mean {right!r}?" if right else None
        raise UserMistakeError(
            "no setting has that name", got=repr(name), expected=f"one of {', '.join(SETTINGS)}", remedy=remedy
        )
    return SETTINGS[name]


def contenders_of(order: Order, setting: Setting) -> tuple[Contender, ...]:
    """Who takes part.

    Raises:
        UserMistakeError: an unknown method or ablation.
    """
    own = setting.contenders
    if order.ablation is not None:
        if order.ablation not in ABLATIONS:
            known = ", ".join(ABLATIONS)
            raise UserMistakeError("no ablation has that name", got=repr(order.ablation), expected=f"one of {known}")
        own = ABLATIONS[order.ablation]
    names = order.methods
    if not names and order.quick and order.ablation is None and setting.quick:
        names = setting.quick
    return chosen(names, own) if names else own
