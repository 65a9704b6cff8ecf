"""What measures and keeps it: evaluation, grading, blind comparison; and the testbed's models, made at first use."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hardening.scenario import Scenario, at_home, names_in, new_folder_of


def evaluation() -> Scenario:
    """``understudy evaluate`` of a tiny model: every sample kept as it comes, then the results."""
    import understudy as us
    from tests.tiny_files import SUITE, make_workplace
    from understudy.training.progress import Silent

    place = make_workplace(new_folder_of("evaluate"))
    suite = place.path / "suite.yaml"
    suite.write_text(json.dumps({**SUITE, "dataset": str(place.path / "held-out.jsonl")}))

    def go(path: Path, _: bool) -> None:
        us.evaluate(
            str(place.path / "student"), [str(suite)], out=path / "results", keep=path / "kept", display=Silent()
        )

    def facts(path: Path) -> object:
        results = json.loads((path / "results" / "words.json").read_text())
        return names_in(path), {key: value for key, value in results.items() if key not in ("seconds", "environment")}

    return Scenario(go, facts)


def grading() -> Scenario:
    """``understudy office grade``: votes of two graders, scores back into the results, the account of it."""
    from tests.evaluation.grading.panels import grader, office_folder
    from understudy.evaluation.grading import grade_folder

    rubric = [("a", 2), ("b", 1)]
    before = office_folder(
        new_folder_of("grade") / "run", {"t1": {"a.md": "# One"}, "t2": {"b.md": "# Two"}}, {"t1": rubric, "t2": rubric}
    )
    panel = _panel(grader(lambda words: words.endswith("a")))

    def go(path: Path, _: bool) -> None:
        _copied(before, path)
        grade_folder(path, panel())

    return Scenario(go, _graded)


def pairwise() -> Scenario:
    """``understudy office grade --pairwise``: two runs compared blind."""
    from tests.evaluation.grading.panels import office_folder, says
    from understudy.evaluation.grading.pairwise import compare_pairwise

    place = new_folder_of("pairwise")
    ours, theirs = (
        office_folder(place / name, {"t1": {"a.md": f"# {name}"}, "t2": {"b.md": name}}) for name in ("ours", "theirs")
    )
    panel = _panel(lambda _: says('{"reason": "seen", "better": "X"}'))

    def go(path: Path, _: bool) -> None:
        compare_pairwise(ours, theirs, panel(), out=path)

    return Scenario(go, _graded)


def testbed_models() -> Scenario:
    """The smallest model of the testbed, taught and kept, as the first command that names it does."""
    from dataclasses import replace

    from understudy.testbed.models import REMEMBER_DIGIT_TEACHER
    from understudy.testbed.workshop import resolve_model

    schoolings = {"testbed/smallest": replace(REMEMBER_DIGIT_TEACHER, steps=2)}

    def go(path: Path, _: bool) -> None:
        with at_home(path):
            resolve_model("testbed/smallest", schoolings=schoolings)

    def facts(path: Path) -> object:
        return names_in(path), [file.read_bytes() for file in sorted(path.rglob("*.safetensors"))]

    return Scenario(go, facts)


def _panel(answer: Any) -> Callable[[], Any]:
    """Two graders behind servers of this process, which answer its forks too."""
    from tests.evaluation.grading.panels import panel_at
    from tests.servers.scripted import ScriptedServer

    servers = [ScriptedServer(answer) for _ in range(2)]
    return lambda: panel_at([server.url for server in servers])


def _copied(source: Path, target: Path) -> None:
    """By another process, whose writes are not the command's, and nobody strikes."""
    if not target.exists():
        subprocess.run(["cp", "-r", str(source), str(target)], check=True)


def _graded(path: Path) -> object:
    """Names of files, and what JSON files tell, but for what depends on what was asked again."""
    told = {str(file.relative_to(path)): json.loads(file.read_text()) for file in sorted(path.rglob("*.json"))}
    return names_in(path), _without_costs(told)


def _without_costs(value: Any) -> Any:
    costs = ("num_requests", "num_resumed", "latency", "seconds")
    if isinstance(value, dict):
        return {key: _without_costs(each) for key, each in value.items() if key not in costs}
    return [_without_costs(each) for each in value] if isinstance(value, list) else value
