"""Two runs compared blind, task by task: each grader sees both without their names, in orders that alternate."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from understudy.errors import DataError
from understudy.evaluation.grading.answers import Better, better_in
from understudy.evaluation.grading.asking import Grader, NoAnswerError
from understudy.evaluation.grading.office_tasks import OfficeResults, files_of, read_office_results
from understudy.evaluation.grading.pair_report import Preference, pair_report
from understudy.evaluation.grading.prompts import VERSION, pair_messages
from understudy.evaluation.grading.settings import Panel
from understudy.evaluation.grading.showing import Shown, shown_to_graders
from understudy.evaluation.grading.votes import PASSING
from understudy.evaluation.suites import write_json
from understudy.servers.background import background

REPORT = "pairwise.json"
_VOTES = "pairwise"
_TASKS_AT_ONCE = 8
_PREFERENCES = TypeAdapter(Preference)


@dataclass(frozen=True)
class Pair:
    """One task's work by both, as one grader would be shown it.

    Args:
        task_id, prompt: of the task. a, b: what each side handed in. is_a_first: the order, of the first
            question where there are two.
    """

    task_id: str
    prompt: str
    a: Shown
    b: Shown
    is_a_first: bool


def compare_pairwise(a: Path, b: Path, panel: Panel, *, out: Path, seed: int = 0) -> dict[str, object]:
    """Compare the runs in two folders; verdicts are kept in ``OUT/pairwise/``, the account in ``OUT/pairwise.json``.

    Where one side handed nothing in, the other is preferred without asking; where both did so, it is a tie. Which
    of the two is shown first alternates over tasks and over graders; with ``ask_twice`` a grader sees both orders, and
    a preference that changes with the order contradicts itself.

    Args:
        seed: of the bootstrap.
    Raises:
        DataError: a folder has no results, or they share no task.
    """
    ours, theirs = read_office_results(a), read_office_results(b)
    shared = [name for name in ours.tasks if name in theirs.tasks]
    if not shared:
        raise DataError("the two runs share no task", got=f"{len(ours.tasks)} and {len(theirs.tasks)} tasks")
    graders = [Grader(settings) for settings in panel.graders]
    found = background().run(_preferences(ours, theirs, shared, graders=graders, out=out))
    only = [name for name in [*ours.tasks, *theirs.tasks] if name not in shared]
    report = pair_report(found, only=only, graders=graders, notices=panel.notices(), seed=seed)
    write_json(report, out / REPORT)
    return report


async def _preferences(
    ours: OfficeResults, theirs: OfficeResults, shared: Sequence[str], *, graders: Sequence[Grader], out: Path
) -> list[Preference]:
    slots = asyncio.Semaphore(_TASKS_AT_ONCE)

    async def judge(index: int, name: str) -> list[Preference]:
        async with slots:
            left, right = await asyncio.to_thread(lambda: (files_of(ours, name), files_of(theirs, name)))
            if not left or not right:
                won = 0.5 if not left and not right else float(bool(left))
                return [Preference(name, one.settings.name, won, why="", by_rule=True) for one in graders]
            asked = []
            for number, grader in enumerate(graders):
                characters, images = grader.settings.characters // 2, grader.settings.images
                a, b = (shown_to_graders(files, characters=characters, images=images) for files in (left, right))
                prompt = str(ours.tasks[name].get("prompt") or "")
                pair = Pair(name, prompt, a, b, is_a_first=(index + number) % 2 == 0)
                asked.append(_kept(grader, pair, out / _VOTES / grader.settings.name / f"{name}.json"))
            return list(await asyncio.gather(*asked))

    try:
        found = await asyncio.gather(*(judge(index, name) for index, name in enumerate(shared)))
    finally:
        await asyncio.gather(*(grader.close() for grader in graders))
    return [preference for task in found for preference in task]


async def _kept(grader: Grader, pair: Pair, path: Path) -> Preference:
    about = [dict(grader.settings.identity()), VERSION, asdict(pair)]
    mark = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    if known := _stored(path, mark):
        return known
    made = await _asked(grader, pair)
    write_json({"fingerprint": mark, "preference": asdict(made)}, path)
    return made


def _stored(path: Path, mark: str) -> Preference | None:
    """The preference kept under this fingerprint; None where there is none that stands."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        preference = _PREFERENCES.validate_python(record["preference"])
        is_verdict = preference.won in (None, 0.0, 0.5, 1.0)
        return preference if is_verdict and record["fingerprint"] == mark and preference.reason not in PASSING else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


async def _asked(grader: Grader, pair: Pair) -> Preference:
    once = await _ask(grader, pair, is_a_first=pair.is_a_first)
    if not grader.settings.ask_twice or once.won is None:
        return once
    again = await _ask(grader, pair, is_a_first=not pair.is_a_first)
    tokens = {name: getattr(once, name) + getattr(again, name) for name in ("input_tokens", "output_tokens")}
    if again.won is None or again.won == once.won:
        return Preference(**{**asdict(once if again.won is not None else again), **tokens})
    firsts = [one.was_first_better for one in (once, again)]
    return Preference(
        pair.task_id,
        grader.settings.name,
        None,
        reason="contradicts itself",
        followed_order=firsts[0] if firsts[0] == firsts[1] else None,
        **tokens,
    )


async def _ask(grader: Grader, pair: Pair, *, is_a_first: bool) -> Preference:
    first, second = (pair.a, pair.b) if is_a_first else (pair.b, pair.a)
    try:
        reply = await grader.reply(pair_messages(pair.prompt, first, second))
    except NoAnswerError as error:
        return Preference(pair.task_id, grader.settings.name, None, why=error.said, reason=error.reason)
    better, vote = better_in(reply)
    return Preference(
        pair.task_id,
        grader.settings.name,
        _won(better, is_a_first=is_a_first),
        why=vote.why,
        reason=vote.reason,
        is_a_first=is_a_first,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
    )


def _won(better: Better | None, *, is_a_first: bool) -> float | None:
    if better is None or better == "tie":
        return None if better is None else 0.5
    return float((better == "X") == is_a_first)
