"""Doing the calls of one turn, in order: ordinary ones first, then the one that would end the episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from understudy.environments.tools.arguments import complaint_of
from understudy.environments.tools.cutting import cut_middle
from understudy.environments.tools.reading import Call, Mistake, Reading
from understudy.environments.tools.tool import Result, ToolError
from understudy.environments.tools.toolbox import Toolbox
from understudy.environments.tools.words import Answer

TWICE = "Error: finish was called more than once in one turn; call it once, when the work is done."


@dataclass(frozen=True)
class Done:
    """What came of the calls of a turn.

    Args:
        answers: one a call, but for a finish that was accepted. finish: that one's arguments, else None.
        num_cut: results that were shortened.
    """

    answers: tuple[Answer, ...]
    finish: Mapping[str, object] | None = None
    num_cut: int = 0

    def num_faults(self, *kinds: str) -> int:
        """How many answers have one of these faults."""
        return sum(answer.fault in kinds for answer in self.answers)


def done(reading: Reading, toolbox: Toolbox, *, longest: int) -> Done:
    """Do what a reply says.

    Args:
        longest: characters of a result; a longer one is cut in the middle.
    """
    name = None if toolbox.finish is None else toolbox.finish.name
    finishes = [call for call in reading.calls if call.name == name]
    answers = [_answered(call, toolbox) for call in reading.calls if call.name != name]
    answers += [Answer(f"Error: {one.message}", one.name, one.id, fault="unread") for one in reading.mistakes]
    accepted = None
    if len(finishes) > 1:
        answers += [Answer(TWICE, call.name, call.id, fault="refused") for call in finishes]
    elif finishes:
        last = _answered(finishes[0], toolbox)
        accepted = finishes[0].arguments if not last.fault else None
        answers += [last] if last.fault else []
    cut = [_cut(answer, longest) for answer in answers]
    return Done(tuple(cut), accepted, sum(a.text != b.text for a, b in zip(answers, cut, strict=True)))


def _answered(call: Call, toolbox: Toolbox) -> Answer:
    tool = next((tool for tool in toolbox.offered if tool.name == call.name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in toolbox.offered)
        return _refused(Mistake(f"there is no tool {call.name[:80]!r}; there are {known}", call.name[:80], call.id))
    complaint = complaint_of(tool, call.arguments)
    if complaint is not None:
        return _refused(Mistake(f"wrong arguments of {call.name}: {complaint}", call.name, call.id))
    try:
        found = tool.call(call.arguments)
    except ToolError as error:
        return Answer(f"Error: {error}", call.name, call.id, fault="failed")
    result = Result(found) if isinstance(found, str) else found
    return Answer(result.text, call.name, call.id, result.pictures)


def _refused(mistake: Mistake) -> Answer:
    return Answer(f"Error: {mistake.message}", mistake.name, mistake.id, fault="refused")


def _cut(answer: Answer, longest: int) -> Answer:
    return Answer(cut_middle(answer.text, longest), answer.name, answer.id, answer.pictures, answer.fault)
