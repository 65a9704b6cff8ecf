"""The examples for schedulers: they parse, and the launch that each of them starts is one that exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Understudy, place, understudy  # noqa: F401  (fixtures)
from tests.tiny_files import Workplace

EXAMPLES = Path(__file__).parents[2] / "examples" / "launch"
VALUES = {
    "RECIPE": "tiny.yaml",
    "HOSTS": "left,right",
    "SLURM_NNODES": "2",
    "SLURM_NODEID": "1",
    "SKYPILOT_NUM_NODES": "2",
    "SKYPILOT_NODE_RANK": "1",
    "JOB_COMPLETION_INDEX": "1",
}


def in_shell(text: str) -> list[str]:
    """The words after ``understudy`` of the launch in a shell script, its variables put in."""
    (command,) = re.findall(r"understudy (launch (?:[^\n]*\\\n)*[^\n]*)", text.partition("set -euo")[2] or text)
    return shlex.split(re.sub(r"\$(\w+)", lambda found: VALUES[found[1]], command.replace("\\\n", " ")))


def slurm() -> list[str]:
    script = EXAMPLES / "slurm.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    (inner,) = re.findall(r"bash -c '\n(.*?)'", text, re.DOTALL)
    subprocess.run(["bash", "-n", "-c", inner], check=True)
    assert re.search(r"^#SBATCH --nodes=2$", text, re.MULTILINE)
    return in_shell(inner)


def skypilot() -> list[str]:
    task: Any = yaml.safe_load((EXAMPLES / "skypilot.yaml").read_text())
    assert task["num_nodes"] == 2 and task["secrets"] == {"UNDERSTUDY_LAUNCH_KEY": None}
    subprocess.run(["bash", "-n", "-c", task["run"]], check=True)
    return in_shell(task["run"])


def kubernetes() -> list[str]:
    service, job = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    assert service["spec"]["clusterIP"] == "None" and job["spec"]["completions"] == job["spec"]["parallelism"] == 2
    pod = job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == job["spec"]["template"]["metadata"]["labels"]
    (container,) = pod["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "understudy"
    first, *words = container["command"]
    assert first == "understudy"
    return [re.sub(r"\$\((\w+)\)", lambda found: VALUES[found[1]], word) for word in words]


@pytest.mark.parametrize("words_of", [slurm, skypilot, kubernetes])
def test_the_launch_of_an_example_is_one_that_exists(
    words_of: Any,
    place: Workplace,  # noqa: F811
    understudy: Understudy,  # noqa: F811
) -> None:
    words = ["tiny.yaml" if word == "/recipes/recipe.yaml" else word for word in words_of()]
    ended = understudy(*words, "--gpus", 8, "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.out.count("torchrun") == 2 and "--nproc-per-node=6" in ended.out
    assert ended.out.count("vllm serve") == 4 and "UNDERSTUDY_LAUNCH_KEY" in ended.out
