"""Inputs that once escaped as a traceback, or took the square of the time; each is refused or read now."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hardening.all_kinds import KINDS
from tests.hardening.kinds.answers import EXCHANGES
from tests.hardening.mutating import json_bytes, nested
from tests.hardening.target import judge
from tests.tiny_files import save_model
from tests.training.tiny_run import go, parts_of
from understudy.environments.tools.reading import tagged_json
from understudy.errors import DataError, ModelError, RunDirectoryError
from understudy.models.load import load_model
from understudy.reports.figures import as_number
from understudy.reports.saved_rollouts import read_steps
from understudy.training import rollout_files

MODELS = {"/v1/models": {"data": [{"id": 1}]}}
VLLM, SGLANG, ECHO, GRADER = 7, 8, 6, 12


def answer(number: int, change: dict[str, Any]) -> bytes:
    """A good answer of an exchange, one value replaced at each dotted path."""
    content = json.loads(json.dumps(EXCHANGES[number][1]))
    for path, value in change.items():
        *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place = content
        for part in way:
            place = place[part]
        place[last] = value
    return bytes([number, 0]) + json_bytes(content)


FOUND = [
    ("server-answer", answer(VLLM, {"choices.0.finish_reason": ["stop"]})),
    ("server-answer", answer(VLLM, {"choices.0.weight_versions.0.start": []})),
    ("server-answer", answer(SGLANG, {"meta_info.weight_versions.0.start": -(10**12)})),
    ("server-answer", answer(VLLM, {"choices.0.token_ids.0": 2**70, "choices.0.logprobs.content.0.token_id": 2**70})),
    ("server-answer", answer(VLLM, {"choices.0.logprobs.content.0.logprob": 10**400})),
    ("server-answer", answer(ECHO, {"choices.0.logprobs.top_logprobs": []})),
    ("server-answer", answer(GRADER, {"usage.prompt_tokens": float("inf")})),
    ("server-identity", json_bytes({"/server_info": {"understudy": {"stop_ids": ["x", None]}}, **MODELS})),
    ("server-identity", json_bytes({"/server_info": {"understudy": {"extensions": 5}}, **MODELS})),
    ("server-identity", json_bytes({"/v1/models": {"data": [{"id": "\ud800"}]}})),
    ("metric-lines", nested()),
    ("metric-lines", b'{"step": 0, "loss": [1.5]}\n{"step": 1, "loss": {}}\n'),
    ("metric-lines", b'{"step": 0, "loss": 1' + b"0" * 400 + b"}\n"),
    ("metric-lines", b'{"step": -1' + b"0" * 400 + b"}\n"),
    ("request", b"\x05" + json_bytes({"lora_name": "x", "lora_path": "/" + "a" * 400})),
    ("policy-checkpoint", b"\x02-5"),
    ("tool-calls", b"<tool_call><function=f><parameter=a>" + nested() + b"</parameter></function></tool_call>"),
    ("rubrics", json_bytes([{"score": 10**400, "criterion": "c"}])),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FOUND)))
def test_what_was_found_is_no_finding_any_more(number: int, tmp_path: Path) -> None:
    kind, content = FOUND[number]
    finding = judge(KINDS[kind].opened(tmp_path), content, deadline_seconds=60.0).finding
    assert finding is None, f"{finding.what}\n{finding.trace}"


def test_calls_that_never_end_are_read_in_linear_time() -> None:
    """One tag opened often and never closed took seconds at the length of a long completion."""
    began = time.process_time()
    for piece in ("<function=f>", "<parameter=a>", "<function=", "<think>", "<tool_call>"):
        tagged_json("<tool_call><function=f>" + piece * 20_000)
    assert time.process_time() - began < 2.0


def test_parameters_are_read_as_before() -> None:
    first, second = "<parameter=a>\n1\n</parameter>", "<parameter=b>\n\n two\n</parameter>"
    call = f"<tool_call><function=f>\n{first}x{second}</function></tool_call>"
    assert tagged_json(call).calls[0].arguments == {"a": 1, "b": "\n two"}


def test_rollouts_without_a_column_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rollouts.parquet"
    rollout_files.write_plain(file, parts_of(1).collect(0, lambda _: None), about={})
    pq.write_table(pq.read_table(file).drop_columns(["origin"]), file)
    with pytest.raises(DataError, match="holds no rollouts; got KeyError: 'origin'"):
        rollout_files.read(file)


def test_a_run_whose_papers_are_spoilt(tmp_path: Path) -> None:
    """Surroundings that are no record are written anew; a recipe that is no text is refused."""
    go(tmp_path / "run", parts_of(2))
    (tmp_path / "run" / "environment.json").write_text('["no record"]')
    go(tmp_path / "run", parts_of(2), resume=True)
    assert json.loads((tmp_path / "run" / "environment.json").read_text()) == {}
    (tmp_path / "run" / "recipe.yaml").write_bytes(b"steps: \xca\n")
    with pytest.raises(RunDirectoryError, match=r"recipe\.yaml cannot be read; got a file that is not UTF-8 text"):
        go(tmp_path / "run", parts_of(2), resume=True)


def test_a_number_beyond_every_float_is_no_figure() -> None:
    assert as_number(10**400) is None


@pytest.mark.parametrize("ids", ["</s>", [1, "</s>"], {"id": 1}])
def test_an_end_of_text_that_is_no_token_is_told(ids: object, tmp_path: Path) -> None:
    save_model(tmp_path, seed=0)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": ids}))
    with pytest.raises(ModelError, match="an end of text that is no token; got eos_token_id"):
        load_model(tmp_path)


def test_saved_rollouts_whose_columns_have_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "rollouts").mkdir()
    for step in range(3):
        file = tmp_path / "rollouts" / f"step-{step:06d}.parquet"
        pq.write_table(pa.table({"abcdefgh": [1]}), file, store_schema=False)
        file.write_bytes(file.read_bytes().replace(b"abcdefgh", b"\xca" * 8))
    steps, notes = read_steps(tmp_path)
    assert (len(steps), len(notes)) == (0, 3)
