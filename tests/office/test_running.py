"""Office tasks put to models: in this process, behind ``understudy serve``, and behind a scripted server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Understudy
from tests.environments.tools.scripted_model import save_scripted, scripted
from tests.environments.tools.speaking import call
from tests.office.scripted_server import calls, scripted_server
from tests.serving.served import running_server
from understudy.models.load import describe
from understudy.office import new_folder, read_results

SCRIPT = """import openpyxl
book = openpyxl.Workbook()
for row in [("category", "amount"), ("hotel", 360), ("meals", 74.5), ("train", 151.2), ("total", 585.7)]:
    book.active.append(row)
book.save("total.xlsx")
open("note.md", "w").write("The hotel was the most expensive.")
"""
DO = {"cmd": f"python3 - <<'END'\n{SCRIPT}END"}
FINISH = {"reason": "done", "paths": ["total.xlsx", "/workspace/note.md"]}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    return new_folder(tmp_path / "tasks")


def test_the_example_runs_with_a_model_in_this_process(tasks: Path, tmp_path: Path, understudy: Understudy) -> None:
    model = save_scripted(tmp_path / "model", [call("code_exec", **DO), call("finish", **FINISH)], growing=True)
    ended = understudy("office", "run", tasks, "--model", model, "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert figures["score"]["mean"] == 1.0
    assert (figures["any_deliverable_rate"], figures["efficiency_rate"], figures["mean_turns"]) == (1.0, 1.0, 2.0)
    (result,) = read_results(tmp_path / "out").tasks
    assert result.deliverables == ("example/deliverables/total.xlsx", "example/deliverables/note.md")
    assert all((tmp_path / "out" / place).is_file() for place in result.deliverables)
    assert [line["met"] for line in result.rubric] == [True, True, True]
    assert read_results(tmp_path / "out").figures["efficiency_rate"] == 1.0
    transcript = json.loads((tmp_path / "out/example/transcript.json").read_text())["messages"]
    assert [message["role"] for message in transcript] == ["system", "user", "assistant", "tool", "assistant"]
    assert "rubric" not in json.dumps(transcript)


def test_the_same_model_behind_understudy_serve(tasks: Path, tmp_path: Path, understudy: Understudy) -> None:
    model, tokenizer = scripted([call("code_exec", **DO), call("finish", **FINISH)])
    with running_server(replace(describe(model, tokenizer, name="tiny"), max_length=4096)) as server:
        arguments = ["--server", server.url, "--temperature", 0, "--out", tmp_path / "out", "--json"]
        ended = understudy("office", "run", tasks, *arguments)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["score"]["mean"] == 1.0
    (result,) = read_results(tmp_path / "out").tasks
    assert (result.num_turns, result.num_tokens) == (2, 4), "each reply is one token and its end"


def test_a_scripted_server_with_a_key_and_a_price(
    tasks: Path,
    tmp_path: Path,
    understudy: Understudy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OFFICE_KEY", "sesame")
    (tmp_path / "prices.yaml").write_text("clerk: {input: 10, output: 100}")
    with scripted_server([calls(("code_exec", DO)), calls(("finish", FINISH))]) as server:
        arguments = [
            "--server",
            server.url + "/v1",
            "--api-key-env",
            "OFFICE_KEY",
            "--prices",
            tmp_path / "prices.yaml",
        ]
        ended = understudy("office", "run", tasks, *arguments, "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    assert set(server.keys) == {"Bearer sesame"}
    assert "sesame" not in "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json"))
    figures = json.loads(ended.out)
    assert figures["cost"] == pytest.approx((2 * 100 * 10 + 2 * 10 * 100) / 1e6)
    first, second = server.bodies
    assert [tool["function"]["name"] for tool in first["tools"]] == ["code_exec", "view_image", "finish"]
    assert "tools" not in first["messages"][0]
    assert second["messages"][-1]["tool_call_id"] == "c0"
    assert second["tools"] == first["tools"], "tools go with every question"


def test_a_rubric_for_graders_is_kept_ungraded_and_never_shown(tmp_path: Path, understudy: Understudy) -> None:
    row = {
        "task_id": "83d10b06",
        "prompt": "Write a.txt.",
        "reference_files": [],
        "rubric_json": json.dumps([{"score": 2, "criterion": "it mentions the moon", "rubric_item_id": "r"}]),
    }
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({**row, "task_id": name}) for name in ("one", "two")))
    make = calls(("code_exec", {"cmd": "echo a > a.txt; grep -rl 'the moon' /workspace /tmp /proc/self/environ; true"}))
    for name, paths, score in [("some", ["a.txt"], None), ("none", [], 0.0)]:
        with scripted_server([make, calls(("finish", {"reason": "", "paths": paths}))]) as server:
            run = ["office", "run", tmp_path / "rows.jsonl", "--server", server.url, "--only", "one"]
            ended = understudy(*run, "--out", tmp_path / name, "--name", name)
            assert ended.code == 0, ended.err
            assert "the moon" not in json.dumps([body["messages"][:2] for body in server.bodies])
            assert server.bodies[-1]["messages"][-1]["content"] == "(no output)"
        (result,) = read_results(tmp_path / name).tasks
        assert result.score == score
        assert result.rubric[0]["met"] is (None if score is None else False)
    ended = understudy("compare", tmp_path / "some", tmp_path / "none", "--json")
    assert ended.code == 2
    assert "no graded problem in common" in ended.err


HOSTILE: dict[str, tuple[list[Any], str, str]] = {
    "never finishes": ([calls(("code_exec", {"cmd": "true"}))], "turns", "the agent did not finish"),
    "says nothing": ([{"role": "assistant", "content": None}], "turns", "the agent did not finish"),
    "malformed arguments": (
        [calls(("code_exec", "{")), calls(("finish", {"reason": "", "paths": []}))],
        "finished",
        "",
    ),
    "unknown tool": ([calls(("sudo", {})), calls(("finish", {"reason": "", "paths": []}))], "finished", ""),
    "calls that are none": ([{"role": "assistant", "tool_calls": [7, {}]}], "turns", "the agent did not finish"),
    "an empty file": (
        [calls(("code_exec", {"cmd": "touch total.xlsx"})), calls(("finish", {"reason": "", "paths": ["total.xlsx"]}))],
        "finished",
        "nothing was handed in",
    ),
    "a corrupt file": (
        [
            calls(("code_exec", {"cmd": "echo no > total.xlsx"})),
            calls(("finish", {"reason": "", "paths": ["total.xlsx"]})),
        ],
        "finished",
        "is not what its name says",
    ),
    "a link": (
        [
            calls(("code_exec", {"cmd": "ln -s /etc/passwd total.xlsx"})),
            calls(("finish", {"reason": "", "paths": ["total.xlsx"]})),
        ],
        "turns",
        "the agent did not finish",
    ),
    "a path outside": ([calls(("finish", {"reason": "", "paths": ["../../etc/passwd"]}))], "turns", "did not finish"),
    "the reference itself": (
        [calls(("finish", {"reason": "", "paths": ["expenses.csv"]}))],
        "finished",
        "nothing was handed in",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_earns_no_point_is_counted_and_named(
    name: str, tasks: Path, tmp_path: Path, understudy: Understudy
) -> None:
    script, why, words = HOSTILE[name]
    with scripted_server(script) as server:
        arguments = ["--server", server.url, "--max-turns", 3, "--out", tmp_path / "out", "--json"]
        ended = understudy("office", "run", tasks, *arguments)
    assert ended.code == 0, ended.err
    (result,) = read_results(tmp_path / "out").tasks
    assert (result.score, result.why, result.error) == (0.0, why, None)
    assert [line["met"] for line in result.rubric] == [False, False, False]
    assert words in str(result.rubric[0]["why"])
    if name in ("a link", "a path outside"):
        assert result.figures["refused_paths"]


def test_servers_that_fail_are_named_and_the_run_goes_on_later(
    tasks: Path,
    tmp_path: Path,
    understudy: Understudy,
) -> None:
    (tmp_path / "tasks/second").mkdir()
    (tmp_path / "tasks/second/task.yaml").write_text(
        "prompt: say yes\nrubric: [{check: {kind: file_exist, file: yes.txt}}]"
    )
    arguments = ["office", "run", tasks, "--out", tmp_path / "out"]
    with scripted_server([400]) as server:
        ended = understudy(*arguments, "--server", server.url, "--limit", 1)
        assert ended.code == 0
        results = read_results(tmp_path / "out")
        assert "HTTP 400: no" in str(results.tasks[0].error)
        assert results.tasks[0].score is None
    ended = understudy(*arguments, "--server", server.url, "--deadline-seconds", 0)
    assert ended.code != 0
    assert "no connection" in ended.err.lower() or "does not answer" in ended.err
    for text in ("{}", '{"choices": []}', "no JSON"):
        with scripted_server([text]) as other:
            ended = understudy("office", "run", tasks, "--server", other.url, "--out", tmp_path / text[:3])
        assert ended.code == 0, ended.err
        assert all(task.error for task in read_results(tmp_path / text[:3]).tasks)


def test_an_attempt_that_meets_an_error_keeps_what_was_said_and_paid(
    tasks: Path, tmp_path: Path, understudy: Understudy
) -> None:
    (tmp_path / "prices.yaml").write_text("clerk: {input: 10, output: 100}")
    with scripted_server([calls(("code_exec", {"cmd": "true"})), 400]) as server:
        arguments = ["--server", server.url, "--prices", tmp_path / "prices.yaml", "--out", tmp_path / "out"]
        assert understudy("office", "run", tasks, *arguments).code == 0
    (result,) = read_results(tmp_path / "out").tasks
    assert "HTTP 400" in str(result.error) and result.score is None
    assert (result.num_turns, result.num_tokens, result.num_prompt_tokens) == (1, 10, 100)
    assert result.cost == pytest.approx((100 * 10 + 10 * 100) / 1e6)
    transcript = json.loads((tmp_path / "out/example/transcript.json").read_text())["messages"]
    assert [message["role"] for message in transcript] == ["system", "user", "assistant", "tool"]


def test_folders_that_cannot_be_used(tasks: Path, tmp_path: Path, understudy: Understudy) -> None:
    (tmp_path / "tasks/bad").mkdir()
    (tmp_path / "tasks/bad/task.yaml").write_text("rubric: [{criterion: good}]")
    with scripted_server([calls(("finish", {"reason": "", "paths": []}))]) as server:
        run = ["office", "run", tasks, "--server", server.url, "--out", tmp_path / "out"]
        ended = understudy(*run)
        assert ended.code == 0
        assert "prompt: Field required" in ended.err
        assert len(read_results(tmp_path / "out").missing) == 1
        ended = understudy(*run, "--max-turns", 9)
        assert ended.code == 2
        assert "other settings" in ended.err
        changed = (tasks / "example/task.yaml").read_text().replace("points: 3", "points: 2")
        (tasks / "example/task.yaml").write_text(changed)
        ended = understudy(*run)
        assert (ended.code, "before its words or its rubric changed" in ended.err) == (2, True)
        (tmp_path / "out/run.json").write_text("{")
        ended = understudy(*run)
        assert (ended.code, "run.json cannot be read" in ended.err) == (2, True)
        ended = understudy("office", "run", tmp_path / "nowhere", "--server", server.url, "--out", tmp_path / "o")
        assert ended.code == 2
        assert "do not exist" in ended.err
    assert understudy("office", "new", tasks).code == 2
    assert understudy("office", "run", tasks, "--out", tmp_path / "o").code == 2


def test_a_killed_run_loses_one_task(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    for number in range(4):
        (tasks / f"task{number}").mkdir(parents=True)
        (tasks / f"task{number}/task.yaml").write_text(
            "prompt: make a file\nrubric: [{check: {kind: file_exist, file: a.txt}}]"
        )
    make = calls(("code_exec", {"cmd": "sleep 0.3; echo a > a.txt"}))
    with scripted_server([make, calls(("finish", {"reason": "", "paths": ["a.txt"]}))]) as server:
        command = [sys.executable, "-m", "understudy", "office", "run", str(tasks), "--server", server.url]
        command += ["--out", str(tmp_path / "out")]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 300
        while not (tmp_path / "out/task1/result.json").is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        asked = len(server.bodies)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) - asked <= 2 * 2, "two tasks were left, one of them perhaps begun before"
    results = read_results(tmp_path / "out")
    assert [task.score for task in results.tasks] == [1.0] * 4
