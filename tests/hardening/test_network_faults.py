"""Each way in which a network fails, at each client: a bounded number of tries, then one sentence, soon.

Here each client meets a third of the ways, and those with HTTP code of their own all; ``python -m benchmarks.network``
has each meet every one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import understudy
from tests.hardening.hostile_server import FAULTS
from tests.hardening.network_calls import Known, NetworkCall, calls, known_from
from tests.hardening.network_outcomes import Outcome, fault_of, outcome, outcomes
from tests.serving.conftest import tiny_loaded
from tests.serving.served import served_model

ALL = ("web search", "web page", "health of servers")
NAMES = (
    "who answers",
    "scores",
    "hidden states",
    "output head",
    "completions of a student",
    "new weights",
    "examination: meeting",
    "examination: replies",
    "office work",
    "graders",
    "retriever",
    "web search",
    "web page",
    "health of servers",
    "model hub: publishing",
    "model hub: a name",
    "Tinker: first word",
)
ELSEWHERE = {
    "bench/speed/peer.py": "hands rows in memory to another trainer",
    "build/servers.py": "hands over what others raise",
    "crosschecks/other_harness.py": "asks this package's own server on loopback, in a process of its own",
    "engines/tinker": "after the first word the SDK asks, with its own patience of five minutes, told after one",
    "environments/apart.py": "a socket to a process of this machine",
    "environments/apart_process.py": "a socket to a process of this machine",
    "evaluating.py": "rows in memory",
    "host_names.py": "asks for this machine's own name",
    "launching/page.py": "listens",
    "launching/ports.py": "looks for a free port",
    "listening.py": "listens",
    "models/bars.py": "asks nobody: turns progress bars off",
    "reports/model_card.py": "writes a card",
    "reports/trackers": "every error of a tracker is told once, and the run goes on (tests/reports)",
    "sandbox": "sockets between processes of this machine, and none inside",
    "servers/completions.py": "forms of requests, which the pool sends",
    "servers/pushing.py": "weights between processes, told of by the pool (tests/servers)",
    "servers/pushing_sglang.py": "weights between processes, told of by the pool (tests/servers)",
    "servers/pushing_vllm.py": "weights between processes, told of by the pool (tests/servers)",
    "servers/rows.py": "forms of requests, which the pool sends",
    "servers/sglang.py": "forms of requests, which the pool sends",
    "servers/weight_group.py": "weights between processes, told of by the pool (tests/servers)",
    "sample_cli.py": "asks nobody: turns a progress bar off",
    "serving": "listens",
    "tasks/hub.py": "whatever the library raises is one sentence (tests/tasks)",
    "tasks/retrieval": "listens",
    "trl": "rows in memory",
    "watching": "listens",
    "workers/supervisor.py": "sockets between processes of this machine",
}
"""Modules that use a network library and are struck through none of the calls, and why."""
_LIBRARIES = {"httpx", "urllib.request", "http.client", "socket", "huggingface_hub", "datasets", "tinker", "wandb"}
_LIBRARIES |= {"trackio", "aiohttp", "requests"}
_OURS = {"understudy.servers.http", "understudy.servers.pool", "understudy.servers.patience"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    folder = tmp_path_factory.mktemp("weights") / "000001"
    folder.mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / file).write_text("{}")
    with served_model(tiny_loaded(), allow_updates=True, max_logprobs=-1) as url:
        return known_from(url, folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_goes_wrong_ends_soon_in_a_sentence(
    name: str, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # the hub here is a server of this test
    call, begin = calls(known)[name], NAMES.index(name) % 3
    found = outcomes(call, tuple(FAULTS) if name in ALL else tuple(FAULTS)[begin::3])
    wrong = {fault: what for fault, one in found.items() if (what := fault_of(one, call))}
    assert found and not wrong, "\n".join(f"{fault}: {what}" for fault, what in wrong.items())


def test_every_module_that_asks_over_a_network_is_struck_or_named(known: Known) -> None:
    """A new client is noticed here: give it a line in ``network_calls``, or a reason in ``ELSEWHERE``."""
    root = Path(understudy.__file__).parent
    found = {str(file.relative_to(root)) for file in root.rglob("*.py") if imported(file) & (_LIBRARIES | _OURS)}
    struck = {module for call in calls(known).values() for module in call.modules}
    assert {module for module in struck if not (root / module).is_file()} == set()
    named = {module for module in found if any(module == one or module.startswith(f"{one}/") for one in ELSEWHERE)}
    assert found - struck - named == set()
    assert tuple(calls(known)) == NAMES


def imported(file: Path) -> set[str]:
    """What a module imports, wherever in it, as it is written, and the packages above."""
    names = re.findall(r"^\s*(?:from|import)\s+([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {name for whole in names for name in (whole, whole.partition(".")[0])}


def test_a_loss_is_noticed() -> None:
    def broken(url: str) -> str:
        raise KeyError(url)

    once = NetworkCall((), str, most_asked=1)
    assert "KeyError" in fault_of(outcome(NetworkCall((), broken), "500"), once)
    assert "asked 0 times" in fault_of(outcome(NetworkCall((), lambda url: url), "500"), once)
    assert "said" in fault_of(Outcome("two\nlines", "", 1, 0.0), once)
    assert "took" in fault_of(Outcome("late", "", 1, 99.0), once)
