"""A page a method, written from its docstrings and its configuration, so that it cannot say what the code does not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from understudy.errors import RecipeError
from understudy.objectives.fields import FieldEntry
from understudy.objectives.methods import MethodEntry, entries, objective_of
from understudy.objectives.objective import Objective
from understudy.recipe.outline import nearest
from understudy.recipe.yaml_text import format_yaml
from understudy.reports.docstring_text import filled, markdown, wrapped
from understudy.reports.method_examples import default_of, example_of
from understudy.reports.method_words import PROGRESS, needed, written
from understudy.written_whole import write_whole

INDEX = "README.md"
"""Name of the page with the table of all methods."""

GUIDED = ("sft", "seq_kd", "opd", "gkd", "local_support", "tropd", "aopd", "exopd", "grpo", "atod")
"""Methods with a hand-written page in ``docs/methods``: when it helps, when it hurts, what to watch."""

_NOTICE = "<!-- Written by `make docs` from the method's source. What is changed here is lost. -->"


def entry_of(name: str) -> MethodEntry:
    """What is known of one method.

    Raises:
        RecipeError: there is no such method; the message names the nearest.
    """
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        right = nearest(name, known)
        remedy = f"Did you mean {right}?" if right else None
        raise RecipeError("no such method", got=repr(name), expected="one of " + ", ".join(known), remedy=remedy)
    return known[name]


def page_of(name: str) -> str:
    """The reference page of one method, Markdown that reads as plain text too; raises as ``entry_of`` does."""
    return _page(entry_of(name))


def pages() -> dict[str, str]:
    """File name -> content: the page of every method, and the table of them all."""
    listed = [_led(entry) for entry in entries()]
    return {
        INDEX: _index(listed),
        **{f"{entry.name}.md": f"{_NOTICE}\n{_page(entry)}\n{_onward(entry.name)}\n" for entry in listed},
    }


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into ``folder`` and return their paths; other files there stay.

    Raises:
        DiskError: the folder cannot be written.
    """
    for name, content in pages().items():
        write_whole(folder / name, content, remedy="Choose another folder.")
    return [folder / name for name in pages()]


def _page(entry: MethodEntry) -> str:
    objective = objective_of(default_of(entry.name))
    parts = [
        f"# {entry.name}",
        wrapped(entry.title),
        f"```text\n{filled(entry.idea)}\n```",
        *(wrapped(paragraph) for paragraph in f"{entry.claim}\n\n{entry.notes}".split("\n\n")),
        wrapped(f"Source: {entry.source}"),
        _needs(entry, objective),
        "## Fields",
        "Where a field says ours, something in it is our choice; its text says what." if _any_ours(entry) else "",
        "\n".join(_field(field) for field in entry.fields),
        "## Example",
        f"```yaml\n{format_yaml(example_of(entry.name))}```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _needs(entry: MethodEntry, objective: Objective) -> str:
    lines = [wrapped(f"* {sentence}", indent="  ") for sentence in needed(objective)]
    about = wrapped(f"Completions are written by {written(objective)}. It drives {PROGRESS[entry.progress]}.")
    return "\n\n".join(["## Needs", "\n".join(lines), about])


def _led(entry: MethodEntry) -> MethodEntry:
    """With the identities and papers it cites as links from the folder of all pages."""
    cited = r"identity (\d+) of\s+docs/methods/identities\.md"
    claim = re.sub(cited, r"[identity \1](../identities.md#identity-\1)", entry.claim)
    paper = r"arXiv:(\d{4}\.\d{5})"
    return replace(entry, claim=claim, source=re.sub(paper, r"[arXiv:\1](https://arxiv.org/abs/\1)", entry.source))


def _onward(name: str) -> str:
    """Where its reader goes from here; only for pages in the folder of all."""
    guide = f"When it helps and when it hurts: [{name}](../{name}.md). " if name in GUIDED else ""
    return f"{guide}Beside the others: [choosing](../choosing.md)."


def _any_ours(entry: MethodEntry) -> bool:
    return any(field.ours for field in entry.fields)


def _field(field: FieldEntry) -> str:
    whose = "; ours" if field.ours else ""
    default = json.dumps(field.default, ensure_ascii=False)
    return wrapped(f"* `{field.name}` = `{default}` ({field.type}{whose}): {field.meaning}", indent="  ")


def _index(listed: Sequence[MethodEntry]) -> str:
    rows = [
        f"| [`{entry.name}`]({entry.name}.md) | {_cell(entry.title)} | {', '.join(entry.writers)} "
        f"| {_cell(', '.join(f'`{need}`' for need in entry.needs))} | {_cell(entry.source)} |"
        for entry in listed
    ]
    head = ["| `method:` | what it is | who writes | needs | source |", "|---|---|---|---|---|"]
    about = (
        "Each page says what the method is, what its gradient is, what it needs and what its fields mean; "
        "[choosing](../choosing.md) says which to take."
    )
    return "\n".join([_NOTICE, "# All methods", "", about, "", *head, *rows]) + "\n"


def _cell(text: str) -> str:
    return markdown(text).replace("|", "\\|")
