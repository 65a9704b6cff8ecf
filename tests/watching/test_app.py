"""The watcher as a browser meets it: what it shows, what it refuses, and that nothing leaves the watched folders."""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from benchmarks.pages import watching

from tests.reports.hand_made import SCRIPT, make_run
from understudy.errors import UserMistakeError
from understudy.watching import Settings
from understudy.watching.finding import key_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, one without an end, one that failed, a link out of the folder, and a page of a comparison."""
    found = tmp_path_factory.mktemp("watched") / "runs"
    make_run(found / "one")
    for name, ending in (("two", None), ("three", {"state": "failed", "why": SCRIPT})):
        run = found / "deeper" / name
        run.mkdir(parents=True)
        recipe = "student: {model: m}\nobjective: {method: opd}\nsteps: 4\n"
        (run / "recipe.yaml").write_text(f"name: {name}\n{recipe}")
        lines = [{"step": step, "loss": 1.0 / (step + 1), "step_time": 2.0, "num_tokens": 5} for step in range(2)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if ending:
            (run / "ending.json").write_text(json.dumps(ending))
    stray = found / "stray"
    stray.mkdir()
    (found.parent / "secret.txt").write_text("steps: 1\nsecret: hidden\n")
    (stray / "recipe.yaml").symlink_to(found.parent / "secret.txt")
    (found / "bench").mkdir()
    (found / "bench" / "report.html").write_text(f"<title>bench</title>{SCRIPT}")
    return found


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with watching(folder) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def rows_of(page: str) -> list[list[str]]:
    """The words of each row of the table of runs."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.sub(r"<[^>]*>", " ", row).split() for row in body.split("</tr>") if "<td" in row]


def test_the_table_tells_where_each_run_stands(client: httpx.Client, folder: Path) -> None:
    answer = client.get("/", params={"sort": "name", "falling": "0"})
    assert answer.status_code == 200
    rows = {row[0]: " ".join(row) for row in rows_of(answer.text)}
    assert list(rows) == ["hand-made", "three", "two"]
    assert "finished" in rows["hand-made"] and "30 / 30" in rows["hand-made"] and "50.0" in rows["hand-made"]
    assert "stopped" in rows["two"] and "2 / 4" in rows["two"] and "opd" in rows["two"]
    assert "failed" in rows["three"]
    assert SCRIPT not in answer.text
    with (folder / "deeper" / "two" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        time.sleep(1.1)  # the table is kept for a second
        later = client.get("/", params={"words": "two opd", "state": ""}).text
    (row,) = rows_of(later)
    assert "running" in row or not Path("/proc/locks").exists()


def test_filters_and_an_unchanged_part_costs_nothing(client: httpx.Client) -> None:
    assert [row[0] for row in rows_of(client.get("/", params={"state": "failed"}).text)] == ["three"]
    assert "None fits" in client.get("/", params={"words": "of nobody"}).text
    first = client.get("/", params={"part": "1", "words": "hand"})
    assert "<html" not in first.text
    again = client.get("/", params={"part": "1", "words": "hand"}, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    whole = client.get("/", params={"words": "hand"}).text
    assert f'data-stamp="{first.headers["etag"].replace(chr(34), "&#34;")}"' in whole, "nothing is drawn a second time"


def test_curves_of_several_runs_in_one_drawing(client: httpx.Client, folder: Path) -> None:
    keys = [key_of(folder / "one"), key_of(folder / "deeper" / "two")]
    page = client.get("/compare", params={"run": keys, "metric": ["loss"], "x": "tokens", "smooth": 0.5}).text
    (drawing,) = re.findall(r'<svg class="plot".*?</svg>', page.partition("<h2>Time by phase")[0], flags=re.DOTALL)
    assert len(re.findall('class="line s', drawing)) >= 1 and "tokens" in drawing
    assert page.count("<h2>Time by phase") == 1 and "hand-made" in page
    usual = client.get("/compare", params={"run": keys}).text
    for title in ("kl/reverse_k1", "reward", "gate/trusted", "eval/greedy/mean"):
        assert f"<h3>{title}</h3>" in usual


def test_reports_and_every_saved_step(client: httpx.Client, folder: Path) -> None:
    key = key_of(folder / "one")
    report = client.get(f"/runs/{key}/")
    assert "<h2>Before and after</h2>" in report.text and "Every saved step" in report.text
    assert "'sha256-" in report.headers["content-security-policy"]
    step = client.get(f"/runs/{key}/rollouts", params={"step": 10, "sort": "reward"})
    assert step.status_code == 200
    anchors = re.findall(r'data-reward="([\d.]+)"', step.text)
    assert anchors == sorted(anchors, reverse=True) and len(anchors) == 8
    assert SCRIPT not in step.text.replace("\n", "")
    assert client.get(f"/runs/{key}/rollouts", params={"step": 11}).status_code == 404
    page = client.get(f"/pages/{key_of(folder / 'bench' / 'report.html')}")
    assert SCRIPT in page.text, "as it lies there, and its policy lets none of it run"
    assert "unsafe-inline'; img" in page.headers["content-security-policy"].partition("script-src")[0]


def test_a_report_tells_how_its_run_stands(client: httpx.Client, folder: Path) -> None:
    going, failed = folder / "deeper" / "two", folder / "deeper" / "three"
    with (going / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = client.get(f"/runs/{key_of(going)}/").text
        assert "This run is going on." in text or not Path("/proc/locks").exists()
    assert "or its process is gone" in client.get(f"/runs/{key_of(going)}/").text
    assert "This run failed:" in client.get(f"/runs/{key_of(failed)}/").text


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("/", {"headers": {"host": "evil.example"}}, 421),
        ("/", {"headers": {"host": "127.0.0.1.evil.example:80"}}, 421),
        ("/", {"headers": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}}, 403),
        ("/", {"method": "POST"}, 405),
        ("/", {"method": "DELETE"}, 405),
        ("/", {"content": b"x"}, 413),
        ("/", {"params": {"words": "x" * 9000}}, 414),
        ("/compare", {"params": {"smooth": "2"}}, 400),
        ("/compare", {"params": {"run": [str(n) for n in range(100)]}}, 400),
        ("/runs/../../secret.txt", {}, 404),
        ("/runs/%2e%2e%2fsecret.txt/", {}, 404),
        ("/assets/..%2f..%2fwatch.css", {}, 404),
        ("/pages/000000000000", {}, 404),
    ],
)
def test_what_is_refused(client: httpx.Client, path: str, changes: dict, status: int) -> None:
    answer = client.request(changes.pop("method", "GET"), path, **changes)
    assert answer.status_code == status
    for name in ("content-security-policy", "x-content-type-options", "referrer-policy"):
        assert name in answer.headers


def test_a_run_that_links_out_of_the_folder_is_not_shown(client: httpx.Client, folder: Path) -> None:
    assert "stray" not in client.get("/").text
    answer = client.get(f"/runs/{key_of(folder / 'stray')}/")
    assert answer.status_code == 404
    assert "leads out" in answer.text and "hidden" not in answer.text.replace("hidden>", "")


def test_others_are_let_in_only_on_purpose(tmp_path: Path) -> None:
    with pytest.raises(UserMistakeError, match="lets other machines read"):
        Settings((tmp_path,), host="0.0.0.0")
    assert Settings((tmp_path,), host="0.0.0.0", allow_remote=True).names.include("192.168.1.7:8000")
    with pytest.raises(UserMistakeError, match="is no folder"):
        Settings((tmp_path / "none",))
