"""The failure to look for: a student that comes nearer to its teacher, and succeeds less and less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.bench.agents.results import AgentResult
from understudy.bench.tables import Table, share, signed
from understudy.evaluation.statistics import Estimate, mean_interval

Finding = Literal["drift", "learns", "undecided"]

EXPLAINED = (
    "Drift: over the seeds, the reverse KL to the run's own teacher falls and success falls, both intervals apart from "
    "zero: the student comes to say what its teacher finds likely, and wins less. A repeated turn saw and did what an "
    "earlier turn of its episode had."
)


@dataclass(frozen=True)
class Drift:
    """What became of one contender, from its start to its last weights on the same unseen games, over seeds.

    Args:
        label, teacher: of the runs. kl_before, kl_after: to their own teacher, nats a token. kl_change: paired.
        success_before, success_after, success_change: shares of games won. loops_before, loops_after, loops_change:
            repeated turns a turn. finding: by the two changes.
    """

    label: str
    teacher: str
    kl_before: Estimate
    kl_after: Estimate
    kl_change: Estimate
    success_before: Estimate
    success_after: Estimate
    success_change: Estimate
    loops_before: Estimate
    loops_after: Estimate
    loops_change: Estimate
    finding: Finding

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return {
            name: value.to_json() if isinstance(value, Estimate) else value for name, value in self.__dict__.items()
        }


def drift_of(found: Sequence[AgentResult], starts: Sequence[AgentResult]) -> Drift | None:
    """The drift of one contender's runs; None where no run has figures, or its teacher was not measured."""
    before = {start.seed: start.known for start in starts}
    whole = [result for result in found if result.final is not None]
    if not whole or whole[0].teacher not in whole[0].known.reverse_kl:
        return None
    teacher = whole[0].teacher
    pairs = [(before[result.seed], result.known) for result in whole]
    kl = [(one.reverse_kl[teacher], two.reverse_kl[teacher]) for one, two in pairs]
    won = [(one.success, two.success) for one, two in pairs]
    loops = [(one.loop_share, two.loop_share) for one, two in pairs]
    kl_change, success_change = _change(kl), _change(won)
    return Drift(
        whole[0].label,
        teacher,
        *_ends(kl),
        kl_change,
        *_ends(won),
        success_change,
        *_ends(loops),
        _change(loops),
        finding=finding_of(kl_change, success_change),
    )


def finding_of(kl_change: Estimate, success_change: Estimate) -> Finding:
    """What two changes say.

    >>> finding_of(Estimate(-1.0, -1.2, -0.8, 3), Estimate(-0.05, -0.07, -0.03, 3))
    'drift'
    >>> finding_of(Estimate(-1.0, -1.2, -0.8, 3), Estimate(0.2, 0.1, 0.3, 3))
    'learns'
    """
    if kl_change.high < 0 and success_change.high < 0:
        return "drift"
    return "learns" if kl_change.high < 0 and success_change.low > 0 else "undecided"


def drift_table(drifts: Sequence[Drift]) -> Table:
    """From the start to the last weights, on the same unseen games."""
    heading = ["", "teacher", "reverse KL", "change", "success, %", "change, points", "loops, %", "change, points", ""]
    return [
        heading,
        *(
            [
                one.label,
                one.teacher,
                f"{one.kl_before.mean:.3f} -> {one.kl_after.mean:.3f}",
                nats(one.kl_change),
                f"{100 * one.success_before.mean:.1f} -> {share(one.success_after)}",
                signed(one.success_change),
                f"{100 * one.loops_before.mean:.1f} -> {share(one.loops_after)}",
                signed(one.loops_change),
                one.finding,
            ]
            for one in drifts
        ),
    ]


def nats(estimate: Estimate) -> str:
    """A difference in nats with its interval.

    >>> nats(Estimate(-0.5, -0.62, -0.38, 3))
    '-0.500 [-0.620, -0.380]'
    """
    if abs(estimate.low) == float("inf"):
        return f"{estimate.mean:+.3f}"
    return f"{estimate.mean:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _ends(pairs: Sequence[tuple[float, float]]) -> tuple[Estimate, Estimate]:
    return mean_interval([one for one, _ in pairs]), mean_interval([two for _, two in pairs])


def _change(pairs: Sequence[tuple[float, float]]) -> Estimate:
    return mean_interval([two - one for one, two in pairs])
