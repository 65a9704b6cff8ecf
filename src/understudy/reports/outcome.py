"""Before and after, in words: what each model scores on a suite, and what the paired comparison says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from understudy.reports.figures import NO_BREAK, as_mapping, as_number, count, number, p_value, percent, tick
from understudy.reports.reading import RunRecord
from understudy.reports.scales import Axis, bounds, round_bounds

Verdict = Literal["better", "worse", "no clear difference"]
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Score:
    """One model on one suite.

    Args:
        who: the model. mean, interval: as text. place, low, high: 0 to 100 on the suite's own scale, for drawing.
        own: whether it is this run's student.
    """

    who: str
    mean: str
    interval: str
    place: float
    low: float
    high: float
    own: bool


@dataclass(frozen=True)
class Pairing:
    """The student after against the student before, problem by problem."""

    wins: int
    ties: int
    losses: int
    margin: str
    interval: str
    p_value: str
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """What happened, for readers who do not know the test."""
        total = self.wins + self.ties + self.losses
        return (
            f"Of {count(total, 'problem')}, the trained student does better on {self.wins:,}, "
            f"the same on {self.ties:,} and worse on {self.losses:,}."
        )

    @property
    def reading(self) -> str:
        """What the figures allow to say."""
        if self.verdict == "no clear difference":
            return "So few problems changed, or so evenly, that chance alone could explain it."
        return f"Chance alone would hardly make it so much {self.verdict}."


@dataclass(frozen=True)
class Suite:
    """One suite's scores, the comparison where before was measured, and sentences on lengths and the best step."""

    name: str
    problems: str
    better: str
    scale: tuple[str, str]
    scores: tuple[Score, ...]
    pairing: Pairing | None
    notes: tuple[str, ...] = ()


def suites_of(run: RunRecord) -> tuple[Suite, ...]:
    """The suites of ``summary.json``, with the demo's baselines where it has them; what is malformed is left out."""
    summary = run.summary or {}
    method = str(summary.get("method") or "training")
    return suites_in(
        as_mapping(summary.get("suites")),
        method=method,
        baselines=as_mapping(summary.get("baselines")),
        best=as_mapping(summary.get("best")),
    )


def suites_in(
    content: Mapping[str, object],
    *,
    method: str,
    baselines: Mapping[str, object] | None = None,
    best: Mapping[str, object] | None = None,
) -> tuple[Suite, ...]:
    """The suites under the key ``suites`` of a ``summary.json``.

    Args:
        method: how the student was trained. baselines: by method, the same suites of other students.
        best: the summary's ``best``, where it has one.
    """
    baselines, best = baselines or {}, best or {}
    suites = []
    for name, figures in content.items():
        rivals = {other: as_mapping(as_mapping(each).get(name)).get("after") for other, each in baselines.items()}
        suite = _suite(str(name), as_mapping(figures), method=method, rivals=rivals, best=best)
        if suite is not None:
            suites.append(suite)
    return tuple(suites)


def _suite(
    name: str,
    figures: Mapping[str, object],
    *,
    method: str,
    rivals: Mapping[str, object],
    best: Mapping[str, object],
) -> Suite | None:
    at_best = as_mapping(as_mapping(best.get("suites")).get(name))
    best_name = f"Student at its best (step {number(as_number(best.get('step')))})"
    estimates = {
        "Teacher": figures.get("teacher"),
        "Student before": figures.get("before"),
        f"Student after {method}": figures.get("after"),
        best_name: at_best,
        **{f"Student after {other}": estimate for other, estimate in rivals.items()},
    }
    known = {who: e for who, each in estimates.items() if as_number((e := as_mapping(each)).get("mean")) is not None}
    if not known:
        return None
    values = [v for e in known.values() for key in ("mean", "low", "high") if (v := as_number(e.get(key))) is not None]
    better = "lower" if figures.get("better") == "lower" else "higher"
    share = better == "higher" and all(0 <= value <= 1 for value in values)
    axis = Axis(0.0, 1.0, 0, 100) if share else Axis(*round_bounds(*bounds(values, with_zero=False)), 0, 100)
    scores = [_score(who, e, axis, share=share, own=who == f"Student after {method}") for who, e in known.items()]
    problems = max(int(as_number(e.get("n")) or 0) for e in known.values())
    ends = (percent(0.0, digits=0), percent(1.0, digits=0)) if share else (tick(axis.low), tick(axis.high))
    pairing = _pairing(as_mapping(figures.get("paired")))
    notes = (*_chosen(name, best, at_best), *_lengths(as_mapping(figures.get("lengths")), at_best))
    return Suite(name, count(problems, "problem"), better, ends, tuple(scores), pairing, notes)


def _chosen(name: str, best: Mapping[str, object], at_best: Mapping[str, object]) -> list[str]:
    """On which suite the best checkpoint was chosen, and what that does to its score."""
    if not at_best:
        return []
    if best.get("chosen_on") == name:
        return ["The best checkpoint was chosen on this very suite, which flatters its score here."]
    return [f"The best checkpoint was chosen on {best.get('chosen_on')}, not on this suite."]


def _lengths(lengths: Mapping[str, object], at_best: Mapping[str, object]) -> list[str]:
    """Turns and tokens of an attempt; nothing for suites of single turns."""
    who = {"teacher": "teacher", "before": "student before", "after": "student after"}
    known = {words: as_mapping(lengths.get(key)) for key, words in who.items()}
    known["student at its best"] = at_best
    turns = {words: value for words, one in known.items() if (value := as_number(one.get("mean_turns"))) is not None}
    if not any(value > 1 for value in turns.values()):
        return []
    told = [
        f"{words} {number(value)} ({number(as_number(known[words].get('mean_tokens')))})"
        for words, value in turns.items()
    ]
    return [f"Mean turns of an attempt, and tokens: {', '.join(told)}."]


def _score(who: str, estimate: Mapping[str, object], axis: Axis, *, share: bool, own: bool) -> Score:
    mean, low, high = (as_number(estimate.get(key)) for key in ("mean", "low", "high"))
    assert mean is not None
    write = (lambda value: percent(value).removesuffix(f"{NO_BREAK}%")) if share else number
    interval = (
        f"{write(low)} to {write(high)}" + (f"{NO_BREAK}%" if share else "")
        if low is not None and high is not None
        else ""
    )
    return Score(
        who=who,
        mean=percent(mean) if share else number(mean, digits=4),
        interval=interval,
        place=axis.place(mean),
        low=axis.place(mean if low is None else low),
        high=axis.place(mean if high is None else high),
        own=own,
    )


def _pairing(paired: Mapping[str, object]) -> Pairing | None:
    wins, ties, losses = (as_number(paired.get(key)) for key in ("wins", "ties", "losses"))
    if wins is None or ties is None or losses is None:
        return None
    margin, low, high = (as_number(paired.get(key)) for key in ("margin", "margin_low", "margin_high"))
    p = as_number(paired.get("p_value"))
    verdict: Verdict = "no clear difference"
    if p is not None and p < SIGNIFICANT and wins != losses:
        verdict = "better" if wins > losses else "worse"
    return Pairing(
        wins=int(wins),
        ties=int(ties),
        losses=int(losses),
        margin=percent(margin, sign=True),
        interval=f"{percent(low, sign=True)} to {percent(high, sign=True)}",
        p_value=p_value(p),
        verdict=verdict,
    )
