"""The model card: README.md beside the weights, with head data that a model hub understands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from understudy.objectives.methods import MethodEntry, entries
from understudy.reports.card_curves import CURVES, curves_of
from understudy.reports.card_text import block, code, plain, table
from understudy.reports.citation import entries_of, understudy_entry
from understudy.reports.curves import SUITE, evaluation_charts
from understudy.reports.figures import as_mapping, as_number, number, percent
from understudy.reports.reading import Line, RunRecord, read_run
from understudy.reports.secrets import publishable
from understudy.written_whole import write_whole

CARD = "README.md"
LOADED_FROM = 'name = "."  # this folder; where it is published, OWNER/NAME'
"""The line of a card that says where to load from; a push puts the name there."""

# A card is written with every checkpoint: it must not read all steps before it each time.
_STEPS_IN_A_CURVE = 400

Form = Literal["model", "adapter"]
FORMS: tuple[Form, ...] = ("model", "adapter")


def write_card(run: Path, checkpoint: Path, *, step: int, own: Sequence[str] = ()) -> None:
    """Write the card and its curves into ``model/`` or ``adapter/`` of a checkpoint, each whole or not at all.

    Args:
        run: the run's folder. step: steps done. own: what a Python caller gave in place of what the recipe names.
    """
    for form in FORMS:
        folder = checkpoint / form
        if folder.is_dir():
            record = read_run(run, most_steps=_STEPS_IN_A_CURVE)
            for name, text in pages_of(record, form=form, step=step, own=own).items():
                write_whole(folder / name, text, remedy="Make room or give permission.")


def pages_of(run: RunRecord, *, form: Form, step: int, own: Sequence[str] = ()) -> dict[str, str]:
    """File name -> content: the picture of the curves, where there are any, then the card that shows it."""
    curves = curves_of(run, step)
    card = card_of(run, form=form, step=step, own=own, curves=bool(curves))
    return {**({CURVES: curves} if curves else {}), CARD: card}


def card_of(run: RunRecord, *, form: Form, step: int, own: Sequence[str] = (), curves: bool = False) -> str:
    """The card of the weights after ``step`` steps, showing ``curves`` beside it; the same run gives the same text.

    Every text of the run's is escaped, secrets and the user's own folder are taken out, and no licence is claimed.
    """
    title = plain(run.name)
    parts = [
        f"---\n{_head(run, form)}---\n\n# {title}\n",
        _origin(run, step, own),
        f"## Load it\n\n```python\n{_loading(run, form)}```\n",
        f"## How it was made\n\n{_making(run, step)}",
        _evaluation(run, step),
        f"## Curves\n\n![Curves of the run]({CURVES})\n" if curves else "",
        f"## Make it again\n\nSave this as `recipe.yaml`, then `understudy train recipe.yaml`. {_versions(run)}\n\n"
        + block(publishable(run.recipe_text), "yaml"),
        "## Licence\n\nNone is stated here. The terms of the base model, the teacher and the data decide what may be "
        "done with these weights; who publishes them adds `license:` to the head of this page.\n\n" + _licences(run),
        "## Cite it\n\nThe program, and what the method is from. Titles and authors are as short as the method's page "
        "gives them; the addresses have them whole.\n\n" + block("\n\n".join(_citations(run)), "bibtex"),
    ]
    return "\n".join(part for part in parts if part)


def is_hub_name(name: object) -> bool:
    """Whether a model or data set of that name would be on a hub rather than on this machine."""
    if not isinstance(name, str) or name.startswith(("testbed/", "~")) or Path(name).exists():
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return Path(name).suffix not in (".json", ".jsonl", ".csv", ".parquet")


def _head(run: RunRecord, form: Form) -> str:
    base, method = run.setting("student", "model"), run.setting("objective", "method")
    head: dict[str, object] = {
        "library_name": "transformers" if form == "model" else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["understudy", *([str(method)] if method else [])],
    }
    if is_hub_name(base):
        head |= {"base_model": base, "base_model_relation": "finetune" if form == "model" else "adapter"}
    datasets = [name for name in run.datasets if is_hub_name(name)]
    if datasets:
        head["datasets"] = datasets
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def _origin(run: RunRecord, step: int, own: Sequence[str]) -> str:
    student = code(publishable(str(run.setting("student", "model"))))
    method = code(str(run.setting("objective", "method")))
    teachers = _teachers(run)
    by = f" and {'the teacher' if len(teachers) == 1 else 'the teachers'} {', '.join(teachers)}" if teachers else ""
    text = f"{student}, trained for {step:,} steps by the method {method}{by}, with Understudy.\n"
    if own:
        text += f"\nIts {' and '.join(own)} came from a program of its maker's, not from the recipe below.\n"
    return text


def _loading(run: RunRecord, form: Form) -> str:
    student = str(run.setting("student", "model"))
    options = ", trust_remote_code=True" if run.setting("student", "trust_remote_code") is True else ""
    lines = ["from transformers import AutoModelForCausalLM, AutoTokenizer", "", LOADED_FROM]
    if form == "model":
        lines.append(f"model = AutoModelForCausalLM.from_pretrained(name{options})")
    else:
        base = json.dumps(publishable(student))
        lines.insert(0, "from peft import PeftModel")
        if student.startswith("testbed/"):
            lines.insert(2, "from understudy.testbed import resolve_model")
            base = f"resolve_model({base})"
        lines.append(f"base = AutoModelForCausalLM.from_pretrained({base}{options})")
        lines.append("model = PeftModel.from_pretrained(base, name)")
    lines.append(f"tokenizer = AutoTokenizer.from_pretrained(name{options})")
    return "\n".join(lines) + "\n"


def _making(run: RunRecord, step: int) -> str:
    method = run.setting("objective", "method")
    entry = _method(run)
    facts = {
        "Base model": code(publishable(str(run.setting("student", "model")))),
        "Teacher": ", ".join(_teachers(run)),
        "Method": code(str(method)),
        "What it does": plain(entry.title) if entry else "",
        "Its source": plain(entry.source) if entry else "",
        "Data": ", ".join(code(publishable(name)) for name in run.datasets),
        "Steps": plain(f"{step} of {run.setting('steps')}"),
        "Seed": plain(str(run.setting("seed"))),
        "Understudy": plain(_understudy(run)),
    }
    return table(["what", "which"], [[name, value] for name, value in facts.items() if value])


def _method(run: RunRecord) -> MethodEntry | None:
    return next((entry for entry in entries() if entry.name == run.setting("objective", "method")), None)


def _citations(run: RunRecord) -> list[str]:
    entry = _method(run)
    return [understudy_entry(), *(entries_of(entry.source) if entry else [])]


def _licences(run: RunRecord) -> str:
    """A row for each data set that the run recorded; most licences are not known to it, and that is said."""
    rows = list(dict.fromkeys(_data_rows(run)))
    return table(["data", "used for", "licence"], [list(row) for row in rows]) if rows else ""


def _data_rows(run: RunRecord) -> Iterator[tuple[str, str, str]]:
    for section, use in (("training", "training"), ("suites", "evaluation")):
        listed = run.data.get(section)
        for entry in map(as_mapping, listed if isinstance(listed, list) else ()):
            licence = entry.get("licence")
            name = code(publishable(str(entry.get("dataset"))))
            yield name, use, plain(str(licence)) if licence else "not known to the run"


def _evaluation(run: RunRecord, step: int) -> str:
    """Before training and the newest so far: mean with its 95 % interval."""
    known = [line for line in run.evaluations if (line["step"] or 0) <= step]
    suites = dict.fromkeys(name.split("/")[1] for line in known for name in line if name.endswith("/mean"))
    if not suites:
        return ""
    shown = {_when(int(line["step"] or 0)): line for line in (known[0], known[-1])}
    shares = {chart.title.removeprefix(SUITE) for chart in evaluation_charts(run) if chart.form == "share"}
    rows = [[code(name), *(_estimate(line, name, share=name in shares) for line in shown.values())] for name in suites]
    heading = "## Evaluation\n\nMeans with their 95 % intervals; the recipe below says how each suite is put.\n\n"
    return heading + table(["suite", *shown], rows)


def _when(step: int) -> str:
    return f"after {step:,} steps" if step else "before training"


def _teachers(run: RunRecord) -> list[str]:
    return ["the model itself" if name == "self" else code(publishable(name)) for name in run.teachers]


def _estimate(line: Line, suite: str, *, share: bool) -> str:
    figures = (as_number(line.get(f"eval/{suite}/{part}")) for part in ("mean", "low", "high"))
    mean, low, high = (percent(figure) if share else number(figure, digits=4) for figure in figures)
    return f"{mean} ({low} to {high})"


def _understudy(run: RunRecord) -> str:
    version = as_mapping(run.environment.get("versions")).get("understudy")
    commit = str(run.environment.get("commit") or "")[:12]
    return " ".join(part for part in (str(version or ""), f"at {commit}" if commit else "") if part)


def _versions(run: RunRecord) -> str:
    versions: Mapping[str, object] = as_mapping(run.environment.get("versions"))
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"It ran with {plain(listed)}." if listed else ""
