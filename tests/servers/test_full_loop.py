"""Two ranks, two servers that sample and one that marks: the figures of one process that does it all.

Three more processes that import torch: ``UNDERSTUDY_FULL_LOOP=1`` runs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import understudy as us
from tests.servers.test_sampling import LORA, QUIET, ROLLOUT, assert_alike
from tests.serving.served import served_model
from tests.tiny_files import make_workplace, metrics_of
from understudy.training.progress import Silent

pytestmark = [
    pytest.mark.timeout(500),
    pytest.mark.skipif(not os.environ.get("UNDERSTUDY_FULL_LOOP"), reason="set UNDERSTUDY_FULL_LOOP=1"),
]


def on_two_ranks(recipe: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "understudy", "train", str(recipe), "engine.kind=cluster"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("weights", ["adapter", "group"])
def test_staleness_zero_on_ranks_and_servers_gives_the_figures_of_one_process(tmp_path: Path, weights: str) -> None:
    place = make_workplace(tmp_path)
    student = {"model": str(tmp_path / "student"), **({"lora": LORA} if weights == "adapter" else {})}
    changes = {**QUIET, "rollout": ROLLOUT, "student": student}
    us.train(place.write_recipe("one.yaml", name="one", **changes), display=Silent())
    with ExitStack() as stack:
        samplers = [stack.enter_context(served_model(tmp_path / "student", allow_updates=True)) for _ in range(2)]
        teacher = stack.enter_context(served_model(tmp_path / "teacher", max_logprobs=-1))
        changes |= {"rollout": {**ROLLOUT, "server": samplers, "weights": weights}, "teacher": {"server": teacher}}
        on_two_ranks(place.write_recipe("many.yaml", name="many", **changes))
    one, many = metrics_of(tmp_path / "runs" / "one"), metrics_of(tmp_path / "runs" / "many")
    assert len(many) == 4 and many[0]["loss"] != many[3]["loss"]
    assert_alike(many, one)
