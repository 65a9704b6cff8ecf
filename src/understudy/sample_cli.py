"""``understudy sample MODEL [PROMPT ...]``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import questions as question_names
from understudy.completions import speakers
from understudy.servers.keys import key_in
from understudy.starting import starting

if TYPE_CHECKING:
    from understudy.evaluating import Address
    from understudy.protocols import Prompt
    from understudy.sampling import Answer, Named, Questions


def sample(
    model: Annotated[
        str,
        typer.Argument(
            help="A run, a checkpoint, a model's folder, a hub name, testbed/..., or http://...",
            autocompletion=speakers,
        ),
    ],
    prompts: Annotated[list[str] | None, typer.Argument(help="What to ask; - reads it from standard input.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Ask problems of this recipe, suite or data file.", autocompletion=question_names),
    ] = None,
    template: Annotated[str | None, typer.Option(help="A prompt over a data file's columns: '{question}'.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many problems of the data; else 4.")] = None,
    num_samples: Annotated[int | None, typer.Option("--num-samples", "-n", min=1, help="Answers to each.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy; else the run's, or 1.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus mass; else the run's, or 1.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer; else the run's, or 256.")] = None,
    chat: Annotated[
        bool | None,
        typer.Option("--chat/--no-chat", help="In chat form, or plain; else as its data or template have it."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the draws.")] = 0,
    step: Annotated[int | None, typer.Option(min=0, help="Of a run: this checkpoint; else its newest.")] = None,
    beside: Annotated[
        str | None, typer.Option(help="Another one, which answers the same below.", autocompletion=speakers)
    ] = None,
    served_model: Annotated[str | None, typer.Option("--model", help="Of a server: its served name.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds a server's key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each completion.")] = False,
) -> None:
    """Show what a model writes, and another below.

    A run is asked its own recipe's problems, unless prompts or data are given.
    """
    with starting():
        from understudy.evaluating import Address
        from understudy.sampling import Wishes, named, questions_of

    wishes = Wishes(limit, num_samples, temperature, top_p, max_tokens, chat, template)
    sides = [named(model, step=step), *([] if beside is None else [named(beside)])]
    questions = questions_of(_given(prompts or []), data, wishes, recipe=sides[0].recipe)
    addresses = [Address(model=served_model, key=key_in(api_key_env)), Address()]
    found = list(_asked(sides, addresses, questions, seed=seed))
    for answers in zip(*found, strict=True):
        _show([one for side in answers for one in side], is_problem=not prompts, as_json=as_json)


def _given(words: Sequence[str]) -> list[Prompt]:
    from understudy.sampling import prompts_in

    given: list[Prompt] = []
    for word in words:
        given += prompts_in(sys.stdin.read()) if word == "-" else [word]
    return given


def _asked(
    sides: Sequence[Named], addresses: Sequence[Address], questions: Questions, *, seed: int
) -> Iterator[list[list[Answer]]]:
    """Each side's answers; one model is in memory at a time."""
    from datasets.utils.logging import disable_progress_bar

    from understudy.sampling import answered, speaker_of
    from understudy.training.progress import display_on, shown

    disable_progress_bar()
    with shown(display_on(sys.stderr)) as display:
        for side, address in zip(sides, addresses, strict=False):
            speaker = speaker_of(side, address, display)
            display.phase("sample", size=len(questions.tasks) * questions.num_samples)
            yield answered(questions, speaker, seed=seed, progress=display.advance)


def _show(answers: Sequence[Answer], *, is_problem: bool, as_json: bool) -> None:
    from understudy.sampling import told

    if as_json:
        for answer in answers:
            for line in answer.to_json():
                print(json.dumps(line, ensure_ascii=False))
        return
    print(told(answers, name=f"{'problem' if is_problem else 'prompt'} {answers[0].problem}"))
