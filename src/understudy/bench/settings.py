"""The settings in which methods are compared: who teaches whom, on what, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from understudy.bench.contenders import FULL_METHODS, QUICK_METHODS, Contender, by_method, extrapolations


@dataclass(frozen=True)
class Domain:
    """One task of a setting.

    Args:
        name: in tables and, where several are trained, of its data set. dataset: of the testbed.
        teacher: the model that teaches it, and that the reverse KL on it is measured to.
        trained: whether the student trains on it; a domain that is not trained shows what is forgotten.
    """

    name: str
    dataset: str
    teacher: str
    trained: bool = True


@dataclass(frozen=True)
class Setting:
    """Who teaches whom, on what, for how long.

    Args:
        name: on the command line. about: what it is there to show. student: the start, the same for every contender.
        domains: the first is the one that counts. contenders: rows of the table.
        quick: names of those of ``--quick``; empty takes all.
        examined: further models that are only measured, by their name in tables.
        averaged: models whose weights' mean is measured as well.
        merges: the question is who is above every expert in its own domain.
        learning_rate: the one for all of ``--unified``. rates: the grid of ``--tuned``.
        steps, prompts, generations, max_completion_length: the budget of every contender.
        top_k: the one for all methods that have such a field.
    """

    name: str
    about: str
    student: str
    domains: tuple[Domain, ...]
    contenders: tuple[Contender, ...]
    quick: tuple[str, ...] = ()
    examined: Mapping[str, str] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    merges: bool = False
    learning_rate: float = 3e-4
    rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3)
    steps: int = 40
    prompts: int = 32
    generations: int = 4
    max_completion_length: int = 72
    top_k: int = 16

    @property
    def trained(self) -> tuple[Domain, ...]:
        """The domains that the student trains on."""
        return tuple(domain for domain in self.domains if domain.trained)

    @property
    def measured(self) -> dict[str, str]:
        """Every model that is only measured, by its name in tables: the start, the teachers, and the others."""
        teachers = dict.fromkeys(domain.teacher for domain in self.domains)
        names = ["teacher"] if len(teachers) == 1 else [expert_of(domain) for domain in self.domains]
        return {"start": self.student, **dict(zip(names, teachers, strict=True)), **self.examined}


def expert_of(domain: Domain) -> str:
    """The name in tables of a domain's own teacher."""
    return f"{domain.name}-expert"


MATCHED = Setting(
    name="matched",
    about="A student that knows its teacher's way and seldom takes it; one tokenizer of 32 characters.",
    student="testbed/two-tasks-student",
    domains=(
        Domain("multiplication", "testbed/multiplication", "testbed/two-tasks-teacher"),
        Domain("sorting", "testbed/sorting", "testbed/two-tasks-teacher", trained=False),
    ),
    contenders=by_method(FULL_METHODS),
    quick=QUICK_METHODS,
)

MISMATCHED = Setting(
    name="mismatched",
    about="A weaker student with a longer manner of its own, far from its teacher's; 1,536 word-pieces.",
    student="testbed/wordy-student",
    domains=(
        Domain("multiplication", "testbed/wordy-multiplication", "testbed/wordy-teacher"),
        Domain("sorting", "testbed/wordy-sorting", "testbed/wordy-teacher", trained=False),
    ),
    contenders=by_method(FULL_METHODS),
    quick=QUICK_METHODS,
    prompts=16,
    max_completion_length=112,
    top_k=64,
)

SCALES = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Lambdas of the merging setting."""

MERGE = Setting(
    name="merge",
    about="Two experts, made from one base by reinforcement learning on a task each, become one student again.",
    student="testbed/untidy-base",
    domains=(
        Domain("multiplication", "testbed/multiplication", "testbed/multiplication-expert"),
        Domain("sorting", "testbed/sorting", "testbed/sorting-expert"),
    ),
    contenders=(*extrapolations(SCALES), Contender("sft-on-experts", {"method": "sft"}, tells=True)),
    quick=("gopd-0.5", "gopd-1", "gopd-1.25", "gopd-1.5", "sft-on-experts"),
    averaged=("testbed/multiplication-expert", "testbed/sorting-expert"),
    merges=True,
)

STRONG_TO_WEAK = Setting(
    name="strong-to-weak",
    about="A larger teacher after reinforcement learning, its step measured from the student or from its own base.",
    student="testbed/untidy-base",
    domains=(
        Domain("multiplication", "testbed/multiplication", "testbed/large-expert"),
        Domain("sorting", "testbed/sorting", "testbed/large-expert", trained=False),
    ),
    contenders=(
        *by_method(("seq_kd", "opd")),
        *extrapolations((1.25, 1.5), suffix="-from-start"),
        *extrapolations((1.25, 1.5), reference="testbed/untidy-large", suffix="-from-teacher-base"),
    ),
    examined={"teacher-base": "testbed/untidy-large"},
)

SETTINGS: Mapping[str, Setting] = {s.name: s for s in (MATCHED, MISMATCHED, MERGE, STRONG_TO_WEAK)}
