"""A disk that is full ends a run in one sentence; with room again, it goes on to the numbers of one left in peace."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.tiny_run import SETTINGS, go, parts_of, record_of, weights_of
from understudy.errors import UnderstudyError
from understudy.evaluation.suites import write_json
from understudy.training.durable import append_line, write_text

STEPS = 4
EVERY_STEP = replace(SETTINGS, evaluate_every=1, checkpoint_every=1)
NO_ROLLOUTS = replace(EVERY_STEP, rollouts_every=0)


@contextmanager
def no_file_beyond(num_bytes: int) -> Iterator[None]:
    """Every write past that size fails as on a full disk: the kernel refuses it, also to code that is not Python."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("num_bytes", "settings", "said"),
    [
        (400, NO_ROLLOUTS, "metrics.jsonl cannot be written"),
        (1500, NO_ROLLOUTS, "the checkpoint of step 1 cannot be written"),
        (2000, EVERY_STEP, "step-000000.parquet cannot be written"),
        (40, EVERY_STEP, "figures.jsonl cannot be written"),
    ],
)
def test_a_full_disk_ends_a_run_in_a_sentence_and_loses_nothing(
    tmp_path: Path, num_bytes: int, settings: object, said: str
) -> None:
    assert isinstance(settings, type(EVERY_STEP))
    peaceful = parts_of(STEPS)
    go(tmp_path / "peaceful", peaceful, settings=settings)
    (tmp_path / "peaceful" / "rollouts").mkdir(exist_ok=True)
    path = tmp_path / "run"
    path.mkdir()
    (path / "recipe.yaml").write_text("steps: 6\n")
    (path / "environment.json").write_text("{}")
    with pytest.raises(UnderstudyError) as caught, no_file_beyond(num_bytes):
        go(path, parts_of(STEPS), settings=settings, resume=True)
    message = str(caught.value)
    assert said in message and "--resume" in message and "\n" not in message
    assert not list(path.rglob("*.writing"))
    parts = parts_of(STEPS)
    go(path, parts, settings=settings, resume=True)
    (path / "rollouts").mkdir(exist_ok=True)
    assert record_of(path) == record_of(tmp_path / "peaceful")
    assert all(a.equal(b) for a, b in zip(weights_of(parts), weights_of(peaceful), strict=True))


def test_older_checkpoints_are_whole_when_a_later_one_does_not_fit(tmp_path: Path) -> None:
    path, settings = tmp_path / "run", replace(NO_ROLLOUTS, checkpoint_every=2)
    display_error = "the checkpoint of step 4 cannot be written"
    parts = parts_of(STEPS)

    def save(folder: Path, steps: list[int] = []) -> None:  # noqa: B006 (counts its own calls)
        steps.append(1)
        with no_file_beyond(1500 if len(steps) > 1 else resource.RLIM_INFINITY):
            type(parts.policy).save(parts.policy, folder)

    parts.policy.save = save  # type: ignore[method-assign]
    with pytest.raises(UnderstudyError, match=rf"{display_error}.*The one of step 2 is whole"):
        go(path, parts, settings=settings)
    resumed = parts_of(STEPS)
    assert go(path, resumed, settings=settings, resume=True).step == STEPS


def test_what_was_there_stays_where_its_successor_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    for write in (
        lambda: write_text(file, '{"new": "' + "x" * 500 + '"}'),
        lambda: write_json({"new": "x" * 500}, file),
    ):
        file.write_text('{"old": true}')
        with pytest.raises(UnderstudyError, match=r"summary.json cannot be written.*Make room"), no_file_beyond(100):
            write()
        assert file.read_text() == '{"old": true}'
        assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_a_device_that_is_always_full_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UnderstudyError, match=r"metrics.jsonl cannot be written; got No space left on device"):
        append_line(tmp_path / "metrics.jsonl", "{}")
