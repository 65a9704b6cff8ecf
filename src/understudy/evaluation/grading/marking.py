"""One grader at one task: the rubric in requests of bounded length, and one vote for each criterion."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.evaluation.grading.answers import agreed, votes_in
from understudy.evaluation.grading.asking import Grader, NoAnswerError
from understudy.evaluation.grading.prompts import rubric_messages
from understudy.evaluation.grading.showing import HandedIn, Shown, shown_to_graders
from understudy.evaluation.grading.votes import Vote
from understudy.tasks.office import Criterion


@dataclass(frozen=True)
class Marked:
    """What one grader made of one task.

    Args:
        votes: one a criterion, in the rubric's order. input_tokens, output_tokens: as the endpoint counted them.
        num_cut: characters of the deliverables that the grader was not shown.
    """

    votes: tuple[Vote, ...]
    input_tokens: int = 0
    output_tokens: int = 0
    num_cut: int = 0


async def mark(grader: Grader, task: str, rubric: Sequence[Criterion], files: Sequence[HandedIn]) -> Marked:
    """Put the criteria to the grader; what it does not answer as asked is an ungraded vote, never an error."""
    settings = grader.settings
    shown = shown_to_graders(files, characters=settings.characters, images=settings.images)
    size = settings.criteria_per_request
    parts = [rubric[start : start + size] for start in range(0, len(rubric), size)]
    answers = await asyncio.gather(*(_part(grader, task, shown, part) for part in parts))
    return Marked(
        votes=tuple(vote for answer in answers for vote in answer.votes),
        input_tokens=sum(answer.input_tokens for answer in answers),
        output_tokens=sum(answer.output_tokens for answer in answers),
        num_cut=shown.num_cut,
    )


async def _part(grader: Grader, task: str, shown: Shown, criteria: Sequence[Criterion]) -> Marked:
    once = await _ask(grader, task, shown, criteria)
    if not grader.settings.ask_twice:
        return once
    turned = await _ask(grader, task, shown, list(reversed(criteria)))
    both = agreed(_numbered(once.votes), _numbered(tuple(reversed(turned.votes))))
    return Marked(
        votes=tuple(both.values()),
        input_tokens=once.input_tokens + turned.input_tokens,
        output_tokens=once.output_tokens + turned.output_tokens,
    )


def _numbered(votes: Sequence[Vote]) -> Mapping[str, Vote]:
    return {str(number): vote for number, vote in enumerate(votes, 1)}


async def _ask(grader: Grader, task: str, shown: Shown, criteria: Sequence[Criterion]) -> Marked:
    try:
        reply = await grader.reply(rubric_messages(task, shown, criteria))
    except NoAnswerError as error:
        return Marked(tuple(Vote(None, error.said, error.reason) for _ in criteria))
    votes = votes_in(reply, [str(number) for number in range(1, len(criteria) + 1)])
    return Marked(tuple(votes.values()), reply.input_tokens, reply.output_tokens)
