"""A thousand answers judged as mathematics, hanging ones among them: all answered, none lost, none wrong.

python -m benchmarks.mathematics              # 1,000 pairs, 20 that hang; exits with 1 if one is lost or wrong
python -m benchmarks.mathematics --pairs 200 --hanging 4

Right and wrong answers are made in equal parts by a seed, in other forms than the gold answer where right. Those
that hang would run for hours, eat all memory, or overflow the parser; each costs a worker at most the deadline.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from dataclasses import dataclass

from understudy.recipe import Verifier
from understudy.tasks.verdicts import Verdict
from understudy.tasks.verifiers import verifier_from
from understudy.workers import pool

HANGING = (
    "9^{9^{9^9}}",
    "9^{9^{9^{9^9}}}",
    "(10^{9})!",
    "2^{10^{12}}",
    "\\binom{10^{12}}{10^{11}}",
    "{" * 3000 + "1" + "}" * 3000,
)


@dataclass(frozen=True)
class Pair:
    """A gold answer, a completion, and whether it is right."""

    gold: str
    completion: str
    is_right: bool


def pairs(number: int, hanging: int, seed: int = 0) -> list[Pair]:
    """So many, in an order of the seed's."""
    stream = random.Random(seed)
    found = [ordinary(stream) for _ in range(number - hanging)]
    for index in range(hanging):
        answer = f"{HANGING[index % len(HANGING)]}+{index}"  # each another text, so that none is asked once for all
        found.append(Pair(str(index), f"so it is \\boxed{{{answer}}}", False))
    stream.shuffle(found)
    return found


def ordinary(stream: random.Random) -> Pair:
    """One that a model may well give."""
    a, b = stream.randrange(2, 40), stream.randrange(2, 40)
    gold, same = stream.choice(
        [
            (f"\\frac{{{a}}}{{{b}}}", f"{3 * a}/{3 * b}"),
            (str(a * b), f"{a * b}.0"),
            (f"x^2+{a}x+{b}", f"{b} + {a}x + x^{{2}}"),
            (f"({a}, {b})", f"({a},{b})"),
            (f"\\sqrt{{{a * a * b}}}", f"{a}\\sqrt{{{b}}}"),
        ]
    )
    is_right = stream.random() < 0.5
    return Pair(gold, f"The answer is \\boxed{{{same if is_right else a * b + 10**4}}}.", is_right)


def processor_seconds() -> float:
    """Of this process and of all its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def judged(given: list[Pair]) -> list[Verdict]:
    """Their verdicts, all begun before one is waited for."""
    verify = verifier_from(Verifier(kind="math"), "answer")
    assert verify is not None
    waiting = [verify.begin(pair.completion, {"answer": pair.gold}) for pair in given]  # type: ignore[attr-defined]
    return [wait() for wait in waiting]


def main() -> int:
    """Print one line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--hanging", type=int, default=20)
    options = parser.parse_args()
    given = pairs(options.pairs, options.hanging)
    started, used = time.monotonic(), processor_seconds()
    found = judged(given)
    seconds = time.monotonic() - started
    for workers in list(pool._shared.values()):
        workers.close()
    wrong = [pair for pair, verdict in zip(given, found, strict=True) if verdict.correct is not pair.is_right]
    print(
        f"{len(found)} of {len(given)} answered, {options.hanging} that hang, {len(wrong)} wrong, "
        f"{sum(one.parsed is None for one in found)} unread; {seconds:.1f} s, {processor_seconds() - used:.1f} s of CPU"
    )
    for pair in wrong[:10]:
        print(pair)
    return int(bool(wrong) or len(found) != len(given))


if __name__ == "__main__":
    sys.exit(main())
