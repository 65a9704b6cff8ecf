"""Pages made of hostile text: what an attacker wrote is text in them, never an element, an attribute or a script."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from tests.hardening.mutating import HOSTILE_TEXTS
from tests.hardening.target import Target
from tests.reports.hand_made import Page, byte_tokenizer, make_run, rollout_row, turn, write_rollouts
from understudy.reports.page import write_report

_PIECES = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "</style><svg onload=alert(1)>",
    "<!--",
    "-->",
    "]]>",
    "</title></textarea></noscript>",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    '<a href="javascript:alert(1)">x</a>',
    "{{ 7 * 7 }}{% raw %}",
    "<base href=//evil>",
    "<meta http-equiv=refresh content=0>",
    "<form action=//evil><input name=a>",
    "`${alert(1)}`",
    "\\u003cscript\\u003e",
    *HOSTILE_TEXTS,
)
HARMLESS = "plain"


def hostile_text(random: Random) -> str:
    """Pieces of attacks in any order, cut anywhere."""
    text = "".join(random.choice(_PIECES)[: random.choice((5, 20, 99))] for _ in range(random.choice((1, 2, 4))))
    return text[:400]


def structure(page: str) -> tuple[set[str], set[str], list[str]]:
    """The kinds of elements, the names of attributes, and the scripts of a page."""
    read = Page(page)
    return {tag for tag, _ in read.tags}, {name for _, attrs in read.tags for name in attrs}, read.texts("script")


def _addresses(page: str) -> set[str]:
    read = Page(page)
    names = ("href", "src", "action", "srcdoc", "formaction", "xlink:href")
    return {str(attrs[name]) for _, attrs in read.tags for name in names if name in attrs}


def _filled(run: Path, texts: dict[str, str]) -> None:
    """Put hostile text wherever a run has text that others wrote."""
    recipe = (
        f"name: {json.dumps(texts['name'])}\nseed: 7\nsteps: 30\nstudent: {{model: {json.dumps(texts['model'])}}}\n"
    )
    recipe += f"teacher: {{model: {json.dumps(texts['teacher'])}}}\nobjective: {{method: tropd}}\n"
    (run / "recipe.yaml").write_text(recipe, encoding="utf-8", errors="replace")
    (run / "environment.json").write_text(json.dumps({"commit": texts["commit"], texts["key"]: texts["commit"]}))
    lines = [
        {"step": step, "loss": 1.0, f"loss/{texts['term']}": 0.5, f"gate/{texts['term']}": 0.5} for step in range(3)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    points = [{"step": step, f"eval/{texts['suite']}/mean": 0.1} for step in (0, 30)]
    (run / "evaluation" / "figures.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    summary = json.loads((run / "summary.json").read_text())
    summary["suites"] = {texts["suite"]: next(iter(summary["suites"].values()))}
    (run / "summary.json").write_text(json.dumps({**summary, "name": texts["name"], "method": texts["term"]}))


def reports(folder: Path) -> Target:
    """A run's report in which every text is an attack."""
    run = make_run(folder / "run", tokenizer=(tokenizer := byte_tokenizer()))
    for file in list((run / "rollouts").iterdir())[1:]:
        file.unlink()
    names = ("name", "model", "teacher", "commit", "key", "term", "suite", "prompt", "completion", "problem", "domain")

    def page_with(texts: dict[str, str]) -> str:
        _filled(run, texts)
        columns = turn(texts["prompt"], texts["completion"] or "x", tokenizer=tokenizer, advantages=(1.0,))
        row: dict[str, Any] = rollout_row(0, 0, columns, problem=texts["problem"], domain=texts["domain"])
        write_rollouts(run, 0, [row])
        return write_report(run, out=folder / "report.html").read_text(encoding="utf-8")

    plain = page_with(dict.fromkeys(names, HARMLESS))
    tags, attributes, scripts = structure(plain)
    addresses = _addresses(plain)

    def make(random: Random) -> bytes:
        return json.dumps({name: hostile_text(random) for name in names}).encode()

    def attempt(content: bytes) -> None:
        found = json.loads(content)
        texts = {name: str(found.get(name, "")).encode("utf-8", "replace").decode("utf-8") for name in names}
        page = page_with(texts)
        these, theirs, programs = structure(page)
        strange = (these - tags) | {name for name in theirs - attributes if name.startswith("on") or name == "srcdoc"}
        far = {one for one in _addresses(page) - addresses if not one.startswith("#")}
        if strange or far or programs != scripts or Page(page).unbalanced:
            raise AssertionError(f"the attack is in the page: {strange or far or 'another script'}")

    return Target("hostile report", make, attempt)
