"""No figure that a run can log is without its words, and the page says what the glossary says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from benchmarks.glossary import PAGE

import understudy
from understudy.reports.glossary import glossary_page, metric_of, metrics

SOURCE = Path(understudy.__file__).parent
PLACES = ("training", "objectives", "engines", "evaluation/examination.py", "environments/office/attempt.py")
MAKERS = sorted(
    file
    for place in (*PLACES, "environments/tiny_office/world.py", "environments/workbench/box.py")
    for file in ((SOURCE / place).rglob("*.py") if (SOURCE / place).is_dir() else [SOURCE / place])
)
"""Where figures are named."""


def written_names(tree: ast.AST) -> Iterator[str]:
    """Every text that names a figure: keys of dicts, and what stands in ``figures[...]``; parts that vary as ``x``."""
    for node in ast.walk(tree):
        keys = node.keys if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
        keys += [node.args[0]] if isinstance(node, ast.Call) and node.args and _name(node.func) == "_mean_of" else []
        yield from (name for key in keys if (name := _text(key)) is not None)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.AST | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
    return None


def test_every_figure_that_is_named_has_an_entry() -> None:
    named = {name: file.name for file in MAKERS for name in written_names(ast.parse(file.read_text()))}
    figures = {name: file for name, file in named.items() if "/" in name and " " not in name}
    assert len(figures) > 50
    # A name that begins with a part that varies is a column of a term, a domain's, or another method's own family.
    assert {name: f for name, f in figures.items() if metric_of(name) is None and not name.startswith("x/")} == {}


def test_turn_weights_name_their_family() -> None:
    assert {metric_of(f"{kind}/{name}") for kind in ("tdur", "step_ratio") for name in ("mean_weight", "active_ratio")}
    assert all(metric_of(f"{kind}/mean_weight") is not None for kind in ("tdur", "step_ratio"))


def test_a_real_step_logs_nothing_without_words(tmp_path: Path) -> None:
    from tests.training.tiny_run import SETTINGS, go, parts_of
    from understudy.objectives.methods import METHODS, objective_of
    from understudy.training.metric_lines import read

    tropd = next(one for one in METHODS if one.model_fields["method"].default == "tropd")(method="tropd")
    go(tmp_path / "run", parts_of(1, objective=objective_of(tropd)), settings=SETTINGS.__class__(evaluate_every=0))
    (line,) = read(tmp_path / "run" / "metrics.jsonl")
    assert [name for name in line if name != "step" and metric_of(name) is None] == []


def test_the_page_is_what_the_glossary_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == glossary_page(), "python -m benchmarks.glossary writes it"
    assert len({metric.name for metric in metrics()}) == len(metrics())
    assert all(metric.meaning and (metric.healthy or not metric.remedy) for metric in metrics())
