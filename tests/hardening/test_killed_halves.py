"""What a kill or a full disk leaves behind, where it was once refused, kept for ever, or told in a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from understudy.bench.folder import MARK, open_folder
from understudy.environments.episodes import Episode, play
from understudy.environments.office import Attempt
from understudy.environments.tiny_office import Document, OnDisk
from understudy.environments.tools import Ending
from understudy.errors import DiskError, RunDirectoryError
from understudy.office import new_folder
from understudy.office.collecting import Collecting
from understudy.offline.scoring import _refuse_other_folder
from understudy.offline.writing import ScoresFolder
from understudy.protocols import SamplingParams, Task
from understudy.study import StudySettings
from understudy.study.stages import _open
from understudy.tasks.office import load_office_tasks
from understudy.teachers.disk_scores_files import Manifest, Rows, context_digest


@dataclass(frozen=True)
class Plain:
    """A comparison's definition."""

    def to_json(self) -> dict[str, object]:
        return {"steps": 1}


def test_a_folder_of_tasks_that_was_begun_is_made_to_its_end(tmp_path: Path) -> None:
    whole, begun = new_folder(tmp_path / "whole"), tmp_path / "begun"
    (begun / "example").mkdir(parents=True)
    (begun / "README.md").write_text((whole / "README.md").read_text())
    (begun / "example" / ".task.yaml.1").write_text("prom")
    new_folder(begun)
    assert (begun / "example" / "task.yaml").read_text() == (whole / "example" / "task.yaml").read_text()
    for folder in (whole, tmp_path / "others"):
        folder.mkdir(exist_ok=True)
        (folder / "README.md").write_text("mine")
        with pytest.raises(RunDirectoryError, match="not empty"):
            new_folder(folder)


def _bench(path: Path) -> object:
    return open_folder(path, Plain())


def _study(path: Path) -> object:
    return _open(path, StudySettings())


@pytest.mark.parametrize("begin", [_bench, _study, _refuse_other_folder])
def test_the_half_of_a_first_file_refuses_nobody(tmp_path: Path, begin: Callable[[Path], object]) -> None:
    (tmp_path / ".bench.json.writing").write_text("{")
    (tmp_path / ".study.json.1").write_text("{")
    begin(tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("mine")
    with pytest.raises(RunDirectoryError):
        begin(tmp_path / "new")


def test_a_comparisons_mark_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("[")
    with pytest.raises(RunDirectoryError, match=r"bench\.json cannot be read"):
        open_folder(tmp_path, Plain())


def test_scores_that_ended_with_their_first_part_are_gone_on_with(tmp_path: Path) -> None:
    ids, one = torch.tensor([3, 4]), torch.ones(1)
    manifest = Manifest("t", "s", 1.0, 0, False)
    ScoresFolder(tmp_path, manifest).add(Rows([context_digest(ids)], torch.tensor([1]), torch.tensor([4]), one))
    (tmp_path / "scores.json").unlink()
    _refuse_other_folder(tmp_path)
    assert ScoresFolder(tmp_path, manifest).num_rows == 0, "a part that nothing vouches for is made anew"


def test_a_deliverable_that_the_disk_refuses_is_no_attempts_fault(tmp_path: Path) -> None:
    """It was kept as an error of the attempt, which nobody was asked to make again."""
    (task,) = load_office_tasks(new_folder(tmp_path / "tasks")).tasks
    work = tmp_path / "work"
    work.mkdir()
    (work / "note.md").write_text("hotel")
    (tmp_path / "out" / task.task_id).mkdir(parents=True)
    (tmp_path / "out" / task.task_id / "deliverables").write_text("a file where a folder is to be")
    attempt = Attempt(work, Ending("finished", {}, 1, 2), (Path("note.md"),))
    with pytest.raises(DiskError, match="cannot be written"):
        Collecting(tmp_path / "out").grade(task, attempt)


def test_a_disk_that_refuses_ends_all_episodes_in_a_sentence(tmp_path: Path) -> None:
    """It cost one episode after the other, each as if its agent had failed."""
    (tmp_path / "work").write_text("a file where a folder is to be")

    class Kept:
        def reset(self, task: Task, seed: int) -> object:
            return OnDisk(tmp_path / "work", tmp_path / "handed-in")

    with pytest.raises(DiskError, match="work cannot be written"):
        play(
            [Episode(Task("1", "?", {}), key=0, group=0)],
            environment_factory=Kept,  # type: ignore[arg-type]
            sampler=None,  # type: ignore[arg-type]
            params=SamplingParams(1),
            tokenizer=None,  # type: ignore[arg-type]
            seed=0,
            step=0,
        )


def test_every_write_of_a_workspace_is_told(tmp_path: Path) -> None:
    office = OnDisk(tmp_path / "work", tmp_path / "handed-in")
    office.write("a", Document("note"))
    (tmp_path / "handed-in").rmdir()
    (tmp_path / "handed-in").symlink_to(tmp_path / "nowhere" / "at-all")
    with pytest.raises(DiskError, match="handed-in cannot be written"):
        office.hand_in("a")
    (tmp_path / "work" / "b.txt").mkdir()
    with pytest.raises(DiskError, match=r"b\.txt cannot be written"):
        office.write("b", Document("note"))
    assert json.dumps(office.names()) == '["a", "b"]'
