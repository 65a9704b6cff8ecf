"""Do student and teacher put a conversation into the same words?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from understudy.doctor.findings import Finding, ok, warn
from understudy.errors import DataError
from understudy.models.chat import decode, encode_prompt
from understudy.models.load import LoadedModel
from understudy.protocols import Task

_SHOWN = 40
_TRIED = 8


def template_finding(
    student: LoadedModel,
    teacher: LoadedModel,
    tasks: Sequence[Task],
    *,
    chat_template_kwargs: Mapping[str, object],
    name: str = "teacher",
) -> Finding:
    """The first prompts of messages rendered by both chat templates; prompts of plain text need none."""
    prompts = [task.prompt for task in tasks if not isinstance(task.prompt, str)][:_TRIED]
    if not prompts:
        return ok("chat template", "prompts are plain text, no template is used")
    for prompt in prompts:
        try:
            ours, theirs = (
                encode_prompt(model.known_tokenizer, prompt, chat_template_kwargs=chat_template_kwargs)
                for model in (student, teacher)
            )
        except DataError as error:
            return warn("chat template", f"a template cannot render the prompts: {error.what}", error.remedy or "")
        if ours.tolist() != theirs.tolist():
            texts = [
                decode(model.known_tokenizer, ids, skip_special_tokens=False)
                for model, ids in ((student, ours), (teacher, theirs))
            ]
            return warn(
                "chat template",
                f"the {name} reads the student's template, which is not its own: {_difference(*texts)}",
                "Give both one chat_template, or a teacher tuned on the student's; else the teacher marks text of a "
                "kind it never saw.",
            )
    return ok("chat template", f"both templates render {len(prompts)} prompts alike")


def _difference(ours: str, theirs: str) -> str:
    """What stands on each side where the two part.

    >>> _difference("<user> 2+2", "<human> 2+2")
    "'user> 2+2' (student) and 'human> 2+2' (its own)"
    """
    start = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"{ours[start : start + _SHOWN]!r} (student) and {theirs[start : start + _SHOWN]!r} (its own)"
