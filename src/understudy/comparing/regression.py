"""What a model lost while it learned: the base model against the distilled one, suite by suite and all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scipy import stats

from understudy.comparing.contest import Terms, contest
from understudy.comparing.marks import estimate_of
from understudy.comparing.published import is_published, read_published
from understudy.comparing.reading import Side, read_side
from understudy.errors import DataError
from understudy.evaluation.differences import Difference, unpaired_difference
from understudy.evaluation.equivalence import Equivalence, unpaired_equivalence
from understudy.evaluation.groups import GROUPS
from understudy.evaluation.multiplicity import holm
from understudy.evaluation.statistics import Estimate, sign_test


@dataclass(frozen=True)
class Change:
    """One suite before and after.

    Args:
        base, distilled: scores with their intervals. gain: distilled minus base, turned so that positive is better.
        p_value: of "nothing changed", two-sided: the sign test where paired, else normal from the interval.
        paired: whether both answered the same problems here; published figures can only be set beside ours.
        equivalence: where a margin was given. holm_p_value, holm_p_loss: adjusted over the suites.
        note: problems that one side lacks, and settings that differ.
    """

    suite: str
    base: Estimate
    distilled: Estimate
    gain: Difference
    p_value: float
    paired: bool
    equivalence: Equivalence | None
    holm_p_value: float = 1.0
    holm_p_loss: float | None = None
    note: str = ""

    @property
    def is_loss(self) -> bool:
        """Whether a loss is shown: the interval lies below 0 and Holm's rule lets it stand at 5 %."""
        return self.gain.high < 0 and self.holm_p_value < 0.05

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        gain = self.gain.to_json()  # an infinite bound is null there
        return {
            "suite": self.suite,
            "base": self.base.to_json(),
            "distilled": self.distilled.to_json(),
            "gain": self.gain.mean,
            "gain_low": gain["difference_low"],
            "gain_high": gain["difference_high"],
            "gain_interval": self.gain.interval,
            "paired": self.paired,
            "p_value": self.p_value,
            "holm_p_value": self.holm_p_value,
            "is_loss": self.is_loss,
            **({} if self.equivalence is None else {"equivalence": self.equivalence.to_json()}),
            **({} if self.holm_p_loss is None else {"holm_p_loss": self.holm_p_loss}),
            **({"note": self.note} if self.note else {}),
        }


@dataclass(frozen=True)
class Regression:
    """The base model against the distilled one on every suite both have.

    Args:
        absent: suites of the group ``regression`` that were not measured. only_base, only_distilled: of one side.
    """

    base: str
    distilled: str
    changes: tuple[Change, ...]
    terms: Terms
    absent: tuple[str, ...]
    only_base: tuple[str, ...]
    only_distilled: tuple[str, ...]

    @property
    def no_loss_anywhere(self) -> bool | None:
        """Whether every suite's test speaks for "no loss larger than the margin"; None without a margin.

        An intersection-union test: each at its full level, since one suite that fails refutes the whole.
        """
        tests = [change.equivalence for change in self.changes if change.equivalence is not None]
        return all(test.no_loss for test in tests) if tests else None

    @property
    def statement(self) -> str:
        """The conclusion in one sentence, or in two where a loss is shown."""
        losses = ", ".join(change.suite for change in self.changes if change.is_loss)
        shown = f"A loss is shown on {losses}. " if losses else ""
        if self.no_loss_anywhere is None:
            return shown or "No loss is shown, which proves none absent: give a margin to ask for that."
        words = "support" if self.no_loss_anywhere else "do not support"
        where = "on each of these suites" if len(self.changes) > 1 else "here"
        return f'{shown}The data {words} "no loss larger than {self.terms.margin:g} {where}".'

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            "base": self.base,
            "distilled": self.distilled,
            "suites": [change.to_json() for change in self.changes],
            "margin": self.terms.margin,
            "no_loss_on_every_suite": self.no_loss_anywhere,
            "statement": self.statement,
            "absent": list(self.absent),
            "suites_only_in_base": list(self.only_base),
            "suites_only_in_distilled": list(self.only_distilled),
        }


def regression(base: Path, distilled: Path, terms: Terms) -> Regression:
    """Set a distilled model against its base.

    Args:
        base, distilled: results as ``reading.read_side`` takes them (paired), or published figures (unpaired).
    Raises:
        DataError: results that cannot be read, or no suite in common.
    """
    before, after = (_read(path, terms.confidence) for path in (base, distilled))
    shared = [name for name in after if name in before]
    if not shared:
        raise DataError(
            f"{base} and {distilled} are of different suites",
            got=f"{', '.join(before)} and {', '.join(after)}",
            expected="at least one suite in common, by its name",
        )
    group = GROUPS["regression"]
    return Regression(
        base=_label(base, before),
        distilled=_label(distilled, after),
        changes=_adjusted([_change(name, before[name], after[name], terms) for name in shared]),
        terms=terms,
        absent=tuple(name for name in group if name not in shared) if set(group) & set(shared) else (),
        only_base=tuple(name for name in before if name not in shared),
        only_distilled=tuple(name for name in after if name not in shared),
    )


Figures = Estimate | Side
"""Of one suite: published, or with every sample."""


def _read(path: Path, confidence: float) -> Mapping[str, Figures]:
    if path.is_file() and is_published(path):
        return read_published(path, confidence=confidence)
    side = read_side(path)
    return dict.fromkeys(side.marks, side)


def _change(name: str, before: Figures, after: Figures, terms: Terms) -> Change:
    if isinstance(before, Side) and isinstance(after, Side):
        return _paired(name, before, after, terms)
    sides = [_alone(name, figures, terms) if isinstance(figures, Side) else figures for figures in (before, after)]
    gain = unpaired_difference(sides[1], sides[0])
    test = None
    if terms.margin is not None:
        test = unpaired_equivalence(gain, margin=terms.margin, confidence=terms.confidence)
    return Change(name, sides[0], sides[1], gain, _normal_p(gain, terms.confidence), paired=False, equivalence=test)


def _paired(name: str, before: Side, after: Side, terms: Terms) -> Change:
    found = contest(after.marks[name], before.marks[name], terms)
    gain = found.difference if found.pairs.better == "higher" else _turned(found.difference)
    missing = len(found.pairs.missing_a) + len(found.pairs.missing_b)
    rule = "count as 0 there" if terms.missing == "zero" else "left out"
    lacking = f"{missing} problems have an answer on one side only: {rule}" if missing else ""
    ungraded = f"{len(found.pairs.ungraded)} ungraded, left out" if found.pairs.ungraded else ""
    asked = f"asked differently ({'; '.join(found.asked_differently)})" if found.asked_differently else ""
    pairs = found.pairs
    base, distilled = (
        estimate_of(scores, single=pairs.single, share=pairs.share, confidence=terms.confidence)
        for scores in (pairs.b, pairs.a)
    )
    return Change(
        suite=name,
        base=base,
        distilled=distilled,
        gain=gain,
        p_value=sign_test(found.paired.wins, found.paired.losses),
        paired=True,
        equivalence=found.equivalence,
        note="; ".join(filter(None, (lacking, ungraded, asked))),
    )


def _turned(difference: Difference) -> Difference:
    return replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)


def _alone(name: str, side: Side, terms: Terms) -> Estimate:
    marks = side.marks[name]
    if not marks.share:
        raise DataError(
            f"suite {name!r} in {side.path} cannot be set beside published figures",
            expected="scores from 0 to 1, higher being better",
        )
    unanswered = [0.0] * len(marks.unanswered) if terms.missing == "zero" else []
    scores = [*marks.scores.values(), *unanswered]
    return estimate_of(scores, single=marks.single, share=True, confidence=terms.confidence)


def _normal_p(gain: Difference, confidence: float) -> float:
    """Two-sided, from the half of the interval that lies toward 0."""
    half = gain.mean - gain.low if gain.mean > 0 else gain.high - gain.mean
    z = float(stats.norm.ppf((1 + confidence) / 2))
    return 1.0 if not half else float(2 * stats.norm.sf(abs(gain.mean) * z / half))


def _adjusted(changes: Sequence[Change]) -> tuple[Change, ...]:
    both = holm([change.p_value for change in changes])
    tests = [change.equivalence.p_loss for change in changes if change.equivalence is not None]
    losses: Sequence[float | None] = holm(tests) if tests else [None] * len(changes)
    return tuple(
        replace(change, holm_p_value=p, holm_p_loss=loss) for change, p, loss in zip(changes, both, losses, strict=True)
    )


def _label(path: Path, figures: Mapping[str, Figures]) -> str:
    side = next((one for one in figures.values() if isinstance(one, Side)), None)
    return f"{path.stem} (published)" if side is None else side.label
