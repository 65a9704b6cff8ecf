"""What is asked: prompts as they were given, or the first problems of a recipe, a suite or a data file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from understudy.build import EnvironmentFactory, suite_named
from understudy.build.data import load_problems
from understudy.build.lessons import lessons_of
from understudy.build.worlds import world_of
from understudy.environments.single_turn import SingleTurn
from understudy.errors import DataError, UserMistakeError
from understudy.evaluation.endpoint import Endpoint
from understudy.evaluation.examination import in_words_of
from understudy.protocols import Prompt, Task
from understudy.recipe import Recipe, Suite, load_recipe, load_suite
from understudy.recipe.loading import is_recipe
from understudy.sampling.speakers import Speaker
from understudy.tasks import verifier_from
from understudy.tasks.rows import is_file_name

Form = Literal["given", "chat", "auto"]
_FEW = 4
_MOST_TOKENS = 256
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Wishes:
    """What was asked for; None leaves what the data, the run or this verb has.

    Args:
        limit: so many problems of data. num_samples: answers to each. temperature: 0 is greedy. top_p: nucleus mass.
        max_tokens: of an answer. chat: ask in chat form or not. template: a prompt's, over the columns of a data file.
    """

    limit: int | None = None
    num_samples: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    chat: bool | None = None
    template: str | None = None


@dataclass(frozen=True, eq=False)
class Questions:
    """What is asked, and how it is answered.

    Args:
        tasks: one a problem. world: of one attempt. max_turns: of it. num_samples: attempts at each.
        form: text prompts are asked as ``given``, in ``chat`` form, or so where the model has a template (``auto``).
        suite: whose problems these are; None of others.
    """

    tasks: Sequence[Task]
    world: EnvironmentFactory = SingleTurn
    max_turns: int = 1
    num_samples: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = _MOST_TOKENS
    form: Form = "given"
    suite: Suite | None = None

    def put_to(self, speaker: Speaker) -> list[Task]:
        """The problems in the form in which this one is asked."""
        if self.suite is not None:
            if isinstance(speaker.voice, Endpoint):
                return list(self.tasks)
            return [in_words_of(speaker.voice.tokenizer, task, self.suite) for task in self.tasks]
        is_chat = self.form == "chat" or (self.form == "auto" and speaker.has_template)
        return [_as_chat(task) if is_chat else task for task in self.tasks]

    def wished(self, wishes: Wishes) -> Questions:
        """The same with these wishes in place of what the data had; raises UserMistakeError."""
        if wishes.top_p is not None and not 0 < wishes.top_p <= 1:
            raise UserMistakeError("--top-p", got=wishes.top_p, expected="more than 0, and at most 1")
        names = ("num_samples", "temperature", "top_p", "max_tokens")
        changes = {name: getattr(wishes, name) for name in names if getattr(wishes, name) is not None}
        return replace(self, **changes)


def questions_of(
    prompts: Sequence[Prompt], data: str | None, wishes: Wishes, *, recipe: Recipe | None = None
) -> Questions:
    """The prompts, or the problems of ``data``, or those of the run's own recipe.

    Args:
        data: a recipe, a suite by its name or file, or a file of rows. recipe: of the run that is asked.
    Raises:
        UserMistakeError: there is nothing to ask, or it cannot be read.
    """
    if prompts and data is not None:
        raise UserMistakeError("both prompts and --data say what to ask", remedy="Leave one of them out.")
    if wishes.template is not None and (data is None or not is_file_name(data)):
        raise UserMistakeError("--template is for the rows of a data file", expected="--data FILE.jsonl")
    if prompts:
        return _of_prompts(prompts, wishes, recipe).wished(wishes)
    if data is not None:
        return _of_data(data, wishes).wished(wishes)
    if recipe is None:
        raise UserMistakeError(
            "there is nothing to ask",
            expected="prompts, - for standard input, or --data with a recipe, a suite or a file",
        )
    return _of_recipe(recipe, wishes).wished(wishes)


def prompts_in(text: str) -> list[Prompt]:
    r"""The prompts of standard input: the whole of it, or one a line where each line is a JSON object.

    An object has ``prompt``, a text, or ``messages``.

    >>> prompts_in("two lines\nof one prompt\n")
    ['two lines\nof one prompt']
    >>> prompts_in('{"prompt": "a"}\n{"messages": [{"role": "user", "content": "b"}]}\n')
    ['a', [{'role': 'user', 'content': 'b'}]]

    Raises:
        DataError: nothing is in it, or an object has neither.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError("standard input has no prompt", expected="text, or lines of JSON")
    try:
        objects = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        objects = []
    if not objects or not all(isinstance(one, dict) for one in objects):
        return [text.removesuffix("\n")]
    return [_prompt_in(one, number) for number, one in enumerate(objects, start=1)]


def _prompt_in(row: dict[str, object], number: int) -> Prompt:
    prompt, messages = row.get("prompt"), row.get("messages")
    if isinstance(prompt, str):
        return prompt
    if isinstance(messages, list) and messages and all(isinstance(one, dict) for one in messages):
        return messages
    raise DataError(
        f"line {number} of standard input has no prompt",
        got=f"the keys {', '.join(map(repr, row)) or 'none'}",
        expected="prompt, a text, or messages, a list",
    )


def _of_prompts(prompts: Sequence[Prompt], wishes: Wishes, recipe: Recipe | None) -> Questions:
    if wishes.limit is not None:
        raise UserMistakeError("--limit counts problems of data", remedy="Leave it out; every prompt is asked.")
    tasks = [Task(str(number), prompt) for number, prompt in enumerate(prompts, start=1)]
    if recipe is None:
        return Questions(tasks, form=_form(wishes.chat))
    first = recipe.data.parts[0]
    # As the run asks its own problems; where its data may hold messages, the template decides.
    asked = True if first.chat else None if first.prompt is None else False
    return replace(_like(recipe, tasks), form=_form(asked if wishes.chat is None else wishes.chat))


def _form(chat: bool | None) -> Form:
    return "auto" if chat is None else "chat" if chat else "given"


def _of_data(data: str, wishes: Wishes) -> Questions:
    if data.endswith(_YAML):
        return _of_recipe(load_recipe(data), wishes) if is_recipe(data) else _of_suite(load_suite(data), wishes)
    if is_file_name(data):
        chat: bool | Literal["auto"] = "auto" if wishes.chat is None else wishes.chat
        return _of_suite(Suite(name="data", dataset=data, prompt=wishes.template, chat=chat), wishes)
    return _of_suite(suite_named(data), wishes)


def _of_suite(suite: Suite, wishes: Wishes) -> Questions:
    changes: dict[str, object] = {"limit": _least(wishes.limit or _FEW, suite.limit)}
    if wishes.chat is not None:
        changes["chat"] = wishes.chat
    suite = suite.model_copy(update=changes)
    world = None if suite.environment is None else world_of(suite.environment)
    verifier = verifier_from(suite.verifier, suite.gold_column)
    return Questions(
        load_problems(suite).tasks,
        world or partial(SingleTurn, verifier),
        max_turns=1 if suite.environment is None else suite.environment.num_turns,
        temperature=suite.temperature,
        top_p=suite.top_p,
        max_tokens=suite.max_completion_length or _MOST_TOKENS,
        suite=suite,
    )


def _of_recipe(recipe: Recipe, wishes: Wishes) -> Questions:
    most = wishes.limit or _FEW
    lessons = lessons_of(_shortened(recipe, most, chat=wishes.chat))
    tasks = [lessons.tasks[place] for place in _in_turn([task.domain for task in lessons.tasks])][:most]
    return replace(_like(recipe, tasks), world=world_of(recipe.environment) or lessons.environment())


def _shortened(recipe: Recipe, most: int, *, chat: bool | None) -> Recipe:
    """The recipe with a few rows of each data set, and without suites, whose data nobody asked for."""

    def update(part: object) -> dict[str, object]:
        limit = _least(most, getattr(part, "limit", None))
        return {"limit": limit} if chat is None else {"limit": limit, "chat": chat}

    data = recipe.data
    if data.mixture:
        data = data.model_copy(update={"mixture": tuple(one.model_copy(update=update(one)) for one in data.mixture)})
    else:
        data = data.model_copy(update=update(data))
    evaluation = recipe.evaluation.model_copy(update={"suites": ()})
    return recipe.model_copy(update={"data": data, "evaluation": evaluation})


def _in_turn(domains: Sequence[str]) -> list[int]:
    """Places of the tasks, one of each data set after the other.

    >>> _in_turn(["a", "a", "b", "a"])
    [0, 2, 1, 3]
    """
    met: dict[str, int] = {}
    rounds = []
    for place, domain in enumerate(domains):
        met[domain] = met.get(domain, 0) + 1
        rounds.append((met[domain], place))
    return [place for _, place in sorted(rounds)]


def _like(recipe: Recipe, tasks: Sequence[Task]) -> Questions:
    """Answered as in the run's training."""
    rollout = recipe.rollout
    return Questions(
        tasks,
        max_turns=rollout.max_turns,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        top_k=rollout.top_k,
        max_tokens=rollout.max_completion_length,
    )


def _least(most: int, limit: int | None) -> int:
    return most if limit is None else min(most, limit)


def _as_chat(task: Task) -> Task:
    if not isinstance(task.prompt, str):
        return task
    return replace(task, prompt=[{"role": "user", "content": task.prompt}])
