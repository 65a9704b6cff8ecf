"""What a launch would start: commands, addresses, devices; and that the trainer's recipe finds its servers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from understudy.errors import UserMistakeError
from understudy.launching import Layout, Order, commands_of, laid_out
from understudy.launching.gpus import shared_out
from understudy.launching.ports import free_ports
from understudy.recipe import ServedTeacher, load_recipe


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def written(**changes: Any) -> Path:
        recipe = {
            "student": {"model": "org/student"},
            "teacher": {"model": "org/teacher", "dtype": "bfloat16", "cache": True},
            "data": {"dataset": "problems.jsonl"},
            "objective": {"method": "gkd", "support": {"top_k": 200}}
            if changes.pop("wide", False)
            else {"method": "opd"},
            "steps": 3,
            **changes,
        }
        file = tmp_path / "r.yaml"
        file.write_text(json.dumps(recipe))
        return file

    return written


def layout_of(file: Path, order: Order, *overrides: str) -> Layout:
    return laid_out(load_recipe(file, overrides), file, overrides, order)


def trained(layout: Layout, file: Path, machine: int = 0) -> Any:
    """The recipe that the trainer's command resolves to."""
    (trainer,) = [part for part in layout.of_machine(machine) if part.kind == "trainer"]
    words = list(trainer.command)
    overrides = words[words.index("train") + 2 :]
    return load_recipe(file, [word for word in overrides if word != "engine.kind=cluster"])


def test_the_trainer_is_sent_to_the_servers_and_the_rest_of_its_section_stays(write: Any) -> None:
    file = write()
    layout = layout_of(file, Order(teachers=2), "steps=9")
    first, second, _ = layout.parts
    assert first.name == "teacher-0" and first.command[:3] == ("understudy", "serve", "org/teacher")
    assert "bfloat16" in first.command and first.command[first.command.index("--port") + 1] in str(first.url)
    recipe = trained(layout, file)
    assert isinstance(recipe.teacher, ServedTeacher) and recipe.steps == 9
    assert recipe.teacher.server == (first.url, second.url) and first.url != second.url
    assert (recipe.teacher.model, recipe.teacher.cache) == ("org/teacher", True)
    assert recipe.teacher.api_key_env == "UNDERSTUDY_LAUNCH_KEY" == first.key_variable


def test_samplers_serve_the_student_and_may_be_given_weights(write: Any) -> None:
    file = write(rollout={"num_generations": 8, "server": {"urls": "http://elsewhere:1", "timeout_seconds": 5.0}})
    layout = layout_of(file, Order(samplers=2, teachers=1))
    assert [part.name for part in layout.parts] == ["sampler-0", "sampler-1", "teacher-0", "train"]
    assert "--allow-updates" in layout.parts[0].command and "--allow-updates" not in layout.parts[2].command
    rollout = trained(layout, file).rollout
    assert rollout.server.urls == tuple(part.url for part in layout.parts[:2])
    assert (rollout.server.model, rollout.server.timeout_seconds) == ("org/student", 5.0)
    assert rollout.num_generations == 8 and rollout.server.api_key_env == "UNDERSTUDY_LAUNCH_KEY"
    vllm = layout_of(file, Order(samplers=1, program="vllm")).parts[0].line
    assert "VLLM_SERVER_DEV_MODE=1" in vllm and "--logprobs-mode processed_logprobs" in vllm


def test_each_of_several_teachers_has_its_own_servers(write: Any) -> None:
    routes = {"x": {"model": "org/x"}, "y": {"model": "org/y"}}
    file = write(teacher={"routes": routes, "by": "subject"})
    recipe = trained(layout_of(file, Order(teachers=1)), file)
    assert {name: one.model for name, one in recipe.teacher.routes.items()} == {"x": "org/x", "y": "org/y"}
    assert len({one.server for one in recipe.teacher.routes.values()}) == 2
    file = write(teacher={"mixture": [{"model": "org/x", "weight": 0.25}, {"model": "org/y", "weight": 0.75}]})
    recipe = trained(layout_of(file, Order(teachers=1)), file)
    assert [(part.model, part.weight) for part in recipe.teacher.mixture] == [("org/x", 0.25), ("org/y", 0.75)]


def test_the_recipes_server_kind_says_what_serves(write: Any) -> None:
    file = write(teacher={"server": "http://elsewhere:1", "model": "org/t", "kind": "vllm", "api_key_env": "MINE"})
    layout = layout_of(file, Order(teachers=1, gpus=4, ranks=2, server_gpus=2))
    server = layout.parts[0]
    assert server.command[:3] == ("vllm", "serve", "org/t")
    assert "--tensor-parallel-size 2" in server.line and "CUDA_VISIBLE_DEVICES=2,3" in server.line
    assert server.line.count("MINE") == 1 and 'VLLM_API_KEY="$MINE"' in server.line and "--api-key" not in server.line
    assert server.resolved({"MINE": "swordfish"})["VLLM_API_KEY"] == "swordfish"
    assert trained(layout, file).teacher.api_key_env == "MINE"
    sglang = layout_of(file, Order(teachers=1, program="sglang"))
    assert "sglang.launch_server" in sglang.parts[0].line and trained(sglang, file).teacher.api_key_env is None
    assert any("command line" in notice for notice in sglang.notices)


def test_a_server_gives_as_many_log_probs_as_the_method_reads(write: Any) -> None:
    line = layout_of(write(objective={"method": "tropd", "top_k": 300}), Order(teachers=1)).parts[0].line
    assert "--max-logprobs 301" in line


def test_several_machines(write: Any) -> None:
    file = write()
    layout = layout_of(file, Order(ranks=4, teachers=1, machines=2, hosts=("left", "right"), gpus=8))
    first, second = (trained(layout, file, machine) for machine in (0, 1))
    assert first == second and first.teacher.server == ("http://left:8100", "http://right:8100")
    (trainer,) = [part for part in layout.of_machine(1) if part.kind == "trainer"]
    for word in (
        "engine.kind=cluster",
        "--nnodes=2",
        "--node-rank=1",
        "--nproc-per-node=4",
        "--master-addr=left",
        "--max-restarts=0",
    ):
        assert word in trainer.command
    assert "CUDA_VISIBLE_DEVICES=0,1,2,3 " in trainer.line
    (server,) = [part for part in layout.of_machine(1) if part.kind == "teacher"]
    assert server.command[server.command.index("--allowed-host") + 1] == "right", "clients call it by this name"
    shown = commands_of(layout)
    assert shown.count("# on ") == 2 and "UNDERSTUDY_LAUNCH_KEY:?" in shown
    for part in layout.parts:
        assert shlex.split(part.line)[-len(part.command) :] == list(part.command) and part.line in shown


def test_ports_are_kept_for_the_run_that_goes_on(write: Any, tmp_path: Path) -> None:
    file = write()
    ports = {"teacher-0": free_ports(["x"])["x"]}
    (tmp_path / "runs/r/launch").mkdir(parents=True)
    (tmp_path / "runs/r/launch/ports.json").write_text(json.dumps(ports))
    assert layout_of(file, Order(teachers=1)).ports == ports
    (tmp_path / "runs/r/launch/ports.json").write_text('{"teacher-0": "many"}')
    assert isinstance(layout_of(file, Order(teachers=1)).ports["teacher-0"], int)


def test_gpus_are_shared_out_to_the_ranks_first() -> None:
    alone = shared_out(Order(ranks=2, gpus=4), 2)
    assert (alone.trainer, alone.servers, alone.notice) == ((0, 1), ((2,), (3,)), None)
    shared = shared_out(Order(ranks=3, gpus=4), 2)
    assert shared.servers == ((3,), (3,)) and shared.sharers(0) == 2 and "2 servers share 1 GPU" in str(shared.notice)
    together = shared_out(Order(ranks=1, gpus=1), 1)
    assert together.servers == ((0,),) and "GPUs of the ranks" in str(together.notice)
    assert shared_out(Order(), 2).servers == ((), ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ranks": 0}, "--ranks is out of range; got 0; expected at least 1"),
        ({"samplers": -1}, "--samplers"),
        ({"machines": 2, "hosts": ("a",)}, "--hosts does not name every machine"),
        ({"ranks": 3, "gpus": 2}, "3 ranks on 2 GPU"),
        ({"teachers": 1, "first_port": 65536}, "--first-port is out of range"),
    ],
)
def test_orders_that_cannot_be_filled(changes: Any, words: str, write: Any) -> None:
    with pytest.raises(UserMistakeError, match=words.replace("(", r"\(")):
        layout_of(write(), Order(**changes))


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        (None, "there is no teacher to serve"),
        ({"model": "self"}, "the student as its own teacher"),
        ({"server": "http://elsewhere:1"}, "names its servers, and not its model"),
        ({"model": "org/t", "trust_remote_code": True}, "--serve-with vllm"),
        ({"routes": {"maths.hard": {"model": "org/t"}}}, "a dot in a route's name"),
    ],
)
def test_teachers_that_cannot_be_served(teacher: Any, words: str, write: Any) -> None:
    with pytest.raises(UserMistakeError, match=words):
        layout_of(write(teacher=teacher), Order(teachers=1))
