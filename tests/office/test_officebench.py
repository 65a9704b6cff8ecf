"""OfficeBench: the published tasks, one who does them and one who does nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.office_clerk import nothing, work
from benchmarks.office_scripts import ABSENT, DATA, played

from understudy.evaluation.programs import judge, score_of
from understudy.tasks.office import Loaded, OfficeTask, load_office_tasks

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=ABSENT)

# One or two of every kind of check and of file; benchmarks/officebench.py plays all of them.
SOME = ["1-1-4", "1-2-0", "1-5-2", "1-7-2", "1-11-1", "1-15-0", "2-40-1", "3-8-5", "3-10-0", "3-55-0"]
MET_BEFORE = {"1-2-1", "1-11-3", "2-16-0", "2-25-0"}


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_office_tasks(DATA)


def test_every_task_and_every_check_is_read(loaded: Loaded) -> None:
    assert loaded.broken == ()
    assert len(loaded.tasks) == 95
    assert len({task.task_id.rpartition("-")[0] for task in loaded.tasks}) == 46
    kinds = Counter(line.check.kind for task in loaded.tasks for line in task.rubric if line.check)
    assert kinds == {
        "contain": 81,
        "file_exist": 64,
        "excel_cell_value": 14,
        "not_contain": 8,
        "calendar_no_overlap": 6,
        "diff_contain_text": 6,
        "exact_match": 4,
    }
    assert all(path.is_file() for task in loaded.tasks for path in task.files.values())


def test_one_who_does_the_work_scores(loaded: Loaded) -> None:
    chosen = [task for task in loaded.tasks if task.task_id in SOME]
    assert len(chosen) == len(SOME)
    assert {scored.task.task_id: scored.score for scored in played(chosen, work)} == dict.fromkeys(SOME, 1.0)


def test_one_who_does_nothing_does_not_on_any_task(loaded: Loaded) -> None:
    scored = played(loaded.tasks, lambda _: nothing())
    assert len(scored) == 95
    assert {one.score for one in scored} == {0.0}


def test_which_checks_an_untouched_workspace_meets_is_known(loaded: Loaded, tmp_path: Path) -> None:
    """Four tasks' checks cannot tell work from none: there, only having handed something in stands between."""

    def met(task: OfficeTask) -> bool:
        folder = tmp_path / task.task_id
        folder.mkdir()
        for reference in task.references:
            (folder / reference.place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(reference.source, folder / reference.place)
        return score_of(task.rubric, judge(task.rubric, folder, task.files), task.scoring) == 1.0

    assert {task.task_id for task in loaded.tasks if met(task)} == MET_BEFORE
