"""Training prompts that are, or contain, problems of the evaluation: by exact text, and by runs of 13 words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from understudy.doctor.findings import Finding, ok, stop, warn
from understudy.protocols import Prompt, Task

RUN_WORDS = 13
"""Length of a run of words that two texts do not share by chance (as in the GPT-3 report, arXiv:2005.14165)."""
_WORD = re.compile(r"\w+|[^\w\s]")
_SHOWN = 3


@dataclass(frozen=True)
class Overlap:
    """Problems of a suite that training prompts give away.

    Args:
        suite: its name. num_problems: of it. exact: problems whose prompt is a training prompt.
        shared: further problems that share a run of words with one. examples: (suite's problem, training problem).
    """

    suite: str
    num_problems: int
    exact: tuple[str, ...]
    shared: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


def overlap_of(suite: str, problems: Sequence[Task], training: Iterable[Task]) -> Overlap:
    """Compare words alone: case, spacing and line breaks do not hide a copy.

    Args:
        problems: of the suite. training: read once, may be long.
    """
    whole: dict[tuple[str, ...], list[str]] = {}
    runs: dict[tuple[str, ...], list[str]] = {}
    for task in problems:
        words = words_of(task.prompt)
        whole.setdefault(words, []).append(task.problem)
        for run in _runs(words):
            runs.setdefault(run, []).append(task.problem)
    exact: dict[str, str] = {}
    shared: dict[str, str] = {}
    for task in training:
        words = words_of(task.prompt)
        exact.update(dict.fromkeys(whole.get(words, ()), task.problem))
        for run in _runs(words) if runs else ():
            shared.update(dict.fromkeys(runs.get(run, ()), task.problem))
    further = {problem: where for problem, where in shared.items() if problem not in exact}
    examples = tuple([*exact.items(), *further.items()][:_SHOWN])
    return Overlap(suite, len(problems), tuple(exact), tuple(further), examples)


def contamination_finding(overlap: Overlap) -> Finding:
    """``stop`` for exact copies; ``warn`` for shared runs of words, which a common instruction may explain."""
    count = len(overlap.exact) + len(overlap.shared)
    if not count:
        return ok("contamination", f"none of {overlap.num_problems:,} problems of {overlap.suite} is in the data")
    examples = ", ".join(f"{ours} = {theirs}" for ours, theirs in overlap.examples)
    what = (
        f"{len(overlap.exact):,} of {overlap.num_problems:,} problems of {overlap.suite} are training prompts word for "
        f"word, {len(overlap.shared):,} more share {RUN_WORDS} words in a row with one (such as {examples})"
    )
    if overlap.exact:
        return stop("contamination", what, "Take these rows out of the training data, or choose another suite.")
    return warn(
        "contamination", what, "Look at the examples: leave the rows out unless the words are an instruction's."
    )


def words_of(prompt: Prompt) -> tuple[str, ...]:
    """The words and signs of a prompt, of messages those of the user, in lower case.

    >>> words_of("What is 2+2?")
    ('what', 'is', '2', '+', '2', '?')
    """
    if isinstance(prompt, str):
        return tuple(_WORD.findall(prompt.lower()))
    return tuple(word for message in prompt if _is_asked(message) for word in _WORD.findall(_text(message).lower()))


def _is_asked(message: Mapping[str, object]) -> bool:
    return message.get("role") not in ("system", "developer")


def _text(message: Mapping[str, object]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _runs(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (words[start : start + RUN_WORDS] for start in range(len(words) - RUN_WORDS + 1))
