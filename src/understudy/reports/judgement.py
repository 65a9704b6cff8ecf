"""What a healthy run of an agent looks like, and whether this one does: plain sentences, each with its figures.

The thresholds are ours; no paper gives any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, variance
from typing import Literal

from understudy.reports.figures import number, percent
from understudy.reports.reading import Line, RunRecord

Verdict = Literal["healthy", "unhealthy", "cannot say"]

FEWEST_STEPS = 8
"""With fewer steps, the first and the last quarter say nothing."""
QUARTER = 0.25
CLEAR = 2.0
"""A change between the quarters is one from so many of its standard errors on."""
ENTROPY_KEPT = 0.2
"""Share of its first entropy below which a student has collapsed."""
WEIGHT_KEPT, LOWEST_WEIGHT = 0.5, 0.1
"""The mean turn weight has collapsed below this share of its first value, or below this value."""
LOOPING = 0.2
"""Share of turns that repeat an earlier one, above which the student goes in circles."""
FALLEN = 0.05
"""A suite's score has fallen when it is lower by so much than at the first examination."""


@dataclass(frozen=True)
class Judgement:
    """One question about a run, its verdict, and why."""

    question: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Ends:
    """A figure in the first and the last quarter of the steps that have it."""

    first: tuple[float, ...]
    last: tuple[float, ...]

    @property
    def change(self) -> int:
        """1 for a rise, -1 for a fall, 0 where the difference is below ``CLEAR`` of its standard errors."""
        error = math.sqrt(sum(variance(part) / len(part) for part in (self.first, self.last)))
        difference = fmean(self.last) - fmean(self.first)
        return 0 if abs(difference) <= CLEAR * error else int(math.copysign(1, difference))

    @property
    def words(self) -> str:
        """From where to where."""
        return f"from {number(fmean(self.first))} to {number(fmean(self.last))}"


def judgements_of(run: RunRecord) -> tuple[Judgement, ...]:
    """All questions that the run's figures can be asked; those without a figure are left out."""
    asked = (_handing_over, _entropy, _reward, _weights, _drift, _loops)
    return tuple(found for ask in asked if (found := ask(run)) is not None)


def ends_of(lines: Sequence[Line], name: str) -> Ends | None:
    """The quarters of a figure; None where fewer than ``FEWEST_STEPS`` steps have it."""
    values = [value for line in lines if (value := line.get(name)) is not None]
    if len(values) < FEWEST_STEPS:
        return None
    size = max(2, int(len(values) * QUARTER))
    return Ends(tuple(values[:size]), tuple(values[-size:]))


def _handing_over(run: RunRecord) -> Judgement | None:
    name, question = "hybrid/opd_rl_ratio", "Does the teacher hand over to the reward?"
    ends = ends_of(run.metrics, name)
    if ends is None:
        return _too_few(run, name, question)
    early, late = median(ends.first), median(ends.last)
    verdict: Verdict = "healthy" if early > 1 > late else "unhealthy"
    missing = sum(line.get(name) is None for line in run.metrics)
    without = f" {missing} of {len(run.metrics)} steps had no contrast of rewards and no ratio." if missing else ""
    return Judgement(
        question,
        verdict,
        f"The distillation half of the advantage was {number(early)} times the reward half in the first quarter of the "
        f"steps and {number(late)} times in the last (medians); healthy is above 1 early and below 1 late.{without}",
    )


def _entropy(run: RunRecord) -> Judgement | None:
    name = next((one for one in ("entropy", "entropy/sampled") if _has(run, one)), None)
    question = "Does the student stay undecided enough to explore?"
    if name is None:
        return None
    ends = ends_of(run.metrics, name)
    if ends is None:
        return _too_few(run, name, question)
    kept = fmean(ends.last) / max(fmean(ends.first), 1e-12)
    words = f"Its entropy went {ends.words} nats per token, {percent(kept, digits=0)} of the first"
    bound = f"{percent(ENTROPY_KEPT, digits=0)} (our threshold)"
    if kept >= ENTROPY_KEPT:
        return Judgement(question, "healthy", f"{words}; below {bound} it would have collapsed.")
    reward = ends_of(run.metrics, "reward")
    if reward is not None and reward.change > 0:
        return Judgement(
            question, "cannot say", f"{words}, below {bound}; the reward rose with it: it may have learned."
        )
    return Judgement(question, "unhealthy", f"{words}, below {bound}, and the reward did not rise with it: a collapse.")


def _reward(run: RunRecord) -> Judgement | None:
    question = "Does the reward rise?"
    ends = ends_of(run.metrics, "reward")
    if ends is None:
        return _too_few(run, "reward", question)
    verdicts: dict[int, Verdict] = {1: "healthy", 0: "cannot say", -1: "unhealthy"}
    words = {1: "a clear rise", 0: "no clear change", -1: "a clear fall"}[ends.change]
    return Judgement(
        question,
        verdicts[ends.change],
        f"The mean reward of an episode went {ends.words}: {words}, by {CLEAR:g} standard errors (our threshold).",
    )


def _weights(run: RunRecord) -> Judgement | None:
    names = dict.fromkeys(name for line in run.metrics for name in line if name.endswith("/mean_weight"))
    question = "Do the turn weights stay up?"
    if not names:
        return None
    ends = ends_of(run.metrics, next(iter(names)))
    if ends is None:
        return _too_few(run, next(iter(names)), question)
    late, floor = fmean(ends.last), max(LOWEST_WEIGHT, WEIGHT_KEPT * fmean(ends.first))
    return Judgement(
        question,
        "healthy" if late >= floor else "unhealthy",
        f"The mean weight of a turn went {ends.words}; below {number(floor)} (ours: half of the first, and at least "
        f"{LOWEST_WEIGHT:g}) hardly any turn would still be taught.",
    )


def _drift(run: RunRecord) -> Judgement | None:
    """Reverse KL falls while success falls: the student grows like its teacher where that does not help."""
    question = "Does coming closer to the teacher help?"
    kl = ends_of(run.metrics, "kl/reverse_k1")
    success = _success(run)
    if kl is None or success is None:
        return _too_few(run, "kl/reverse_k1", question)
    change, told = success
    words = f"Reverse KL to the teacher went {kl.words} nats per token, and {told}"
    if kl.change < 0 and change < 0:
        return Judgement(question, "unhealthy", f"{words}: drift. The student imitates, and does worse for it.")
    closing = "came no closer" if kl.change >= 0 else "came closer"
    return Judgement(
        question,
        "healthy" if kl.change < 0 and change > 0 else "cannot say",
        f"{words}. The student {closing}; it would be drift if both fell clearly.",
    )


def _loops(run: RunRecord) -> Judgement | None:
    name, question = "actions/repeated_rate", "Does the student go in circles?"
    ends = ends_of(run.metrics, name)
    if ends is None:
        return _too_few(run, name, question)
    late = fmean(ends.last)
    return Judgement(
        question,
        "healthy" if late <= LOOPING else "unhealthy",
        f"In the last quarter of the steps {percent(late)} of the turns repeated an earlier observation and action of "
        f"their episode ({percent(fmean(ends.first))} in the first); above {percent(LOOPING, digits=0)} (our "
        "threshold) it goes in circles.",
    )


def _success(run: RunRecord) -> tuple[int, str] | None:
    """Which way success went, and a clause that says so: of the suite that chooses the best, else of the rollouts.

    A suite where lower is better measures likelihoods, not success.
    """
    chosen = run.setting("checkpoint", "keep_best")
    names = [n for line in run.evaluations for n in line if n.startswith("eval/") and n.endswith("/mean")]
    names = [n for n in names if not run.lower_is_better(n.removeprefix("eval/").removesuffix("/mean"))]
    wanted = f"eval/{str(chosen).removeprefix('testbed/')}/mean"
    name = wanted if wanted in names else next(iter(names), None)
    values = [value for line in run.evaluations if name and (value := line.get(name)) is not None]
    if name is not None and len(values) > 1:
        difference = values[-1] - values[0]
        change = 0 if abs(difference) < FALLEN else int(math.copysign(1, difference))
        suite = name.removeprefix("eval/").removesuffix("/mean")
        return change, f"the score on {suite} went from {number(values[0])} to {number(values[-1])}"
    ends = ends_of(run.metrics, "accuracy") or ends_of(run.metrics, "reward")
    return None if ends is None else (ends.change, f"success in training went {ends.words}")


def _has(run: RunRecord, name: str) -> bool:
    return any(line.get(name) is not None for line in run.metrics)


def _too_few(run: RunRecord, name: str, question: str) -> Judgement | None:
    if not _has(run, name):
        return None
    return Judgement(question, "cannot say", f"Fewer than {FEWEST_STEPS} steps have a figure for it.")
