"""The tools of an office task, their bounds, and the conformance suite."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import pytest

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite
from tests.environments.tools.speaking import call
from understudy.environments.office import Attempt, Graded, OfficeBoxes, OfficeSettings, Workspace
from understudy.environments.tools import Result, Rules, ToolError, ToolUse
from understudy.protocols import Task
from understudy.tasks.office import Check, Criterion, HandIn, OfficeTask, Reference

SECRET = "a rubric that nobody may see"
OFFICE_TASK = OfficeTask(
    "copy", "copy a.txt to b.txt", "own", rubric=(Criterion("1", SECRET, check=Check("file_exist", {"file": "b.txt"})),)
)
TASK = Task(problem="copy", prompt=OFFICE_TASK.prompt)


def graded(task: OfficeTask, attempt: Attempt) -> Graded:
    return Graded(float(PurePosixPath("b.txt") in attempt.handed_in))


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    path = tmp_path / "source.txt"
    path.write_text("hello\n")
    return Reference(PurePosixPath("in/a.txt"), path)


def boxes(reference: Reference, settings: OfficeSettings | None = None) -> OfficeBoxes:
    task = replace(OFFICE_TASK, references=(reference,))
    return OfficeBoxes({"copy": task}, graded, settings or OfficeSettings())


class TestConformance(EnvironmentSuite):
    @pytest.fixture
    def subject(self, reference: Reference) -> EnvironmentSubject:
        solution = [call("code_exec", cmd="cp in/a.txt b.txt"), call("finish", reason="copied", paths=["b.txt"])]
        return EnvironmentSubject(
            make=partial(ToolUse, boxes(reference), rules=Rules(max_turns=5)),
            tasks=[TASK],
            solution=lambda task: solution,
        )


def said(reference: Reference, *commands: str, settings: OfficeSettings | None = None) -> list[str]:
    box = boxes(reference, settings)(TASK, 0)
    try:
        return [str(box.tools[0].call({"cmd": command})) for command in commands]
    finally:
        box.close()


def test_a_shell_keeps_files_and_says_how_commands_end(reference: Reference) -> None:
    settings = OfficeSettings().with_seconds(1.0)
    written, read, failed, slow = said(
        reference, "echo 1 > x; cat in/a.txt", "cat x; pwd", "ls gone; exit 3", "sleep 9", settings=settings
    )
    assert (written, read) == ("hello", "1\n/workspace")
    assert failed.startswith("[stderr]\nls: ") and failed.endswith("[exit status 3]")
    assert slow == "[stopped: it took longer than 1 s]"


def test_the_sandbox_holds_no_rubric_and_has_the_libraries(reference: Reference) -> None:
    searched, imported = said(
        reference, f"grep -rl '{SECRET}' /workspace /tmp /proc/self/environ; true", "python3 -c 'import openpyxl, docx'"
    )
    assert (searched, imported) == ("", "")


def test_web_tools_are_offered_only_where_configured(reference: Reference) -> None:
    box = boxes(reference)(TASK, 0)
    assert [tool.name for tool in box.offered] == ["code_exec", "view_image", "finish"]
    box.close()


@pytest.fixture
def workspace(tmp_path: Path, reference: Reference) -> Workspace:
    (tmp_path / "w").mkdir()
    return Workspace(tmp_path / "w", [reference])


@pytest.mark.parametrize(
    "named", ["/etc/passwd", "../source.txt", "in/../../x", "link", "link/passwd", "pipe", "", "\x00"]
)
def test_paths_outside_are_refused_and_counted(workspace: Workspace, named: str) -> None:
    (workspace.folder / "link").symlink_to("/etc")
    os.mkfifo(workspace.folder / "pipe")
    with pytest.raises(ToolError):
        workspace.found(named)
    assert workspace.num_refused == 1


@pytest.mark.parametrize("named", ["x" * 300, "a/" * 3000, "no/such.txt"])
def test_a_name_that_no_file_can_have_is_told_to_the_agent(workspace: Workspace, named: str) -> None:
    with pytest.raises(ToolError, match="does not exist"):
        workspace.found(named)


def test_paths_inside_are_found(workspace: Workspace) -> None:
    for named in ("in/a.txt", "./in/a.txt", "/workspace/in/a.txt"):
        assert workspace.found(named) == PurePosixPath("in/a.txt")
    with pytest.raises(ToolError, match="does not exist"):
        workspace.found("gone.txt")
    assert workspace.num_refused == 0


@pytest.mark.parametrize(
    ("how", "taken", "not_taken"),
    [
        ("named", ["new.txt", "out/b.txt"], {"in/a.txt", "empty.txt", "link.txt"}),
        ("changed", ["new.txt", "out/b.txt", "unnamed.txt"], {"link.txt"}),
    ],
)
def test_what_counts_as_handed_in(workspace: Workspace, how: HandIn, taken: Sequence[str], not_taken: set[str]) -> None:
    folder = workspace.folder
    for place, text in {"new.txt": "n", "out/b.txt": "b", "unnamed.txt": "u", "empty.txt": "", ".cache/x": "c"}.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text)
    (folder / "link.txt").symlink_to("new.txt")
    named = ["new.txt", "out", "in/a.txt", "empty.txt", "link.txt"]
    found, left = workspace.handed_in(named, how)
    assert sorted(place.as_posix() for place in found) == taken
    assert set(left) == not_taken


def test_pictures_are_shown_as_bytes_and_told_in_words(reference: Reference) -> None:
    box = boxes(reference)(TASK, 0)
    draw = "from PIL import Image; Image.new('RGB', (4, 4)).save('a.png')"
    box.tools[0].call({"cmd": f'python3 -c "{draw}"; ln -s a.png b.png; head -c 5000000 /dev/zero > big.png'})
    view = box.tools[1].call
    shown = view({"path": "a.png"})
    assert isinstance(shown, Result)
    assert shown.pictures[0].media_type == "image/png"
    assert shown.text.startswith("a.png: image/png, ")
    for path, words in {
        "b.png": "symbolic link",
        "big.png": "too large",
        "in/a.txt": "no picture",
        "in": "folder",
    }.items():
        with pytest.raises(ToolError, match=words):
            view({"path": path})
    box.close()
