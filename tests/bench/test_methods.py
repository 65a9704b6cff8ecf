"""A miniature comparison through the command line: what it leaves, how it goes on, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from signal import Signals

import pytest
import torch

from tests.bench.hand_made import tiny_setting
from tests.cli.conftest import Ended, Understudy
from understudy.bench import settings
from understudy.bench.contenders import Contender
from understudy.bench.jobs import Training
from understudy.bench.preparing import mean_weights
from understudy.bench.rates import read_rates
from understudy.bench.results import read_result
from understudy.bench.settings import Setting
from understudy.models.load import load_model
from understudy.testbed import datasets

SMALL = ("--problems", 6, "--processes", 1)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, own_home: None, tmp_path: Path) -> Setting:
    made = tiny_setting(tmp_path)
    monkeypatch.setitem(settings.SETTINGS, "tiny", made)  # type: ignore[arg-type]
    return made


def bench(understudy: Understudy, *arguments: object, out: Path, setting: str = "tiny") -> Ended:
    return understudy("bench", "methods", "--setting", setting, "--out", out, *SMALL, *arguments)


def test_two_methods_two_seeds_two_steps(understudy: Understudy, tiny: Setting, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = bench(understudy, "--methods", "sft,opd", "--seeds", 2, "--json", out=out)
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert [row["label"] for row in content["rows"]] == ["start", "teacher", "sft", "opd"]
    opd = content["rows"][3]
    assert opd["seeds"] == [0, 1] and opd["learning_rate"] == 1e-3 and opd["seconds"] > 0
    assert opd["grad_norm"] > 0 and opd["entropy"] > 0
    cell = opd["cells"]["sorting"]["sampled"]
    assert cell["over_problems"]["n"] == 6 and cell["over_seeds"]["n"] == cell["gain_over_seeds"]["n"] == 2
    teacher = content["rows"][1]
    assert teacher["reverse_kl"] == 0 and content["rows"][0]["reverse_kl"] != 0
    assert "4/4" in ended.err and "left" in ended.err

    raw = json.loads((out / "results.json").read_text())
    curves = raw["runs"]["sft"][0]["curves"]
    assert len(curves["grad_norm"]) == 2 and curves["probed"] == [0, 2] and len(curves["entropy"]) == 2
    assert curves["own_entropy"] == [None, None]
    assert all(value > 0 for value in raw["runs"]["opd"][0]["curves"]["own_entropy"])
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 6 and "Gradient norm" in page and "over_seeds" in page
    section = bench(understudy, "--methods", "sft,opd", "--seeds", 2, "--markdown", out=out)
    assert section.out.startswith("## Methods compared: tiny, unified learning rates") and "| opd |" in section.out
    assert "    understudy bench methods --setting tiny" in section.out and "torch" in section.out


def test_what_is_finished_is_not_repeated_and_more_may_come(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    assert bench(understudy, "--methods", "sft", "--seeds", 1, out=out).code == 0
    kept = {file: file.read_bytes() for file in (out / "results").iterdir()}
    done: list[str] = []
    do = Training.do

    def noted(job: Training) -> bool:
        done.append(job.file.stem)
        return do(job)

    monkeypatch.setattr(Training, "do", noted)
    ended = bench(understudy, "--methods", "sft,opd", "--seeds", 2, out=out)
    assert ended.code == 0 and "runs: 1 of 4 are kept from an earlier session" in ended.err
    assert sorted(done) == ["opd-seed0", "opd-seed1", "sft-seed1"]
    assert {file: file.read_bytes() for file in kept} == kept


def test_a_run_that_was_cut_goes_on_to_the_same_numbers(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut after one of two steps, as a signal would: the second session ends with what one session gives."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    arguments = ("--methods", "opd", "--seeds", 1)
    assert bench(understudy, *arguments, out=whole).code == 0

    from understudy.training import session
    from understudy.training.interruption import AbandonedError

    advance = session.Session.train

    def once(self: session.Session) -> None:
        advance(self)
        raise AbandonedError

    with monkeypatch.context() as patched:
        patched.setattr(session.Session, "train", once)
        patched.setattr("understudy.training.loop.Stop", _Signalled)
        stopped = bench(understudy, *arguments, out=cut)
    assert stopped.code == 130 and "the same command goes on" in stopped.err
    assert not (cut / "results" / "opd-seed0.json").exists() and (cut / "runs" / "opd-seed0").is_dir()
    ended = bench(understudy, *arguments, out=cut)
    assert ended.code == 0, ended.err
    first, second = (read_result(folder / "results" / "opd-seed0.json") for folder in (whole, cut))
    assert first is not None and second is not None
    assert second.domains == first.domains and second.curves == first.curves


class _Signalled:
    """A stop that a signal has reached, which only the cut asks for."""

    signal = Signals.SIGINT

    def __init__(self, *_: object) -> None: ...

    def request(self, *_: object) -> None: ...

    def check(self) -> None: ...


def test_tuned_rates_come_from_validation_and_are_written(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    ended = bench(understudy, "--tuned", "--methods", "opd", "--seeds", 1, "--json", out=out)
    assert ended.code == 0, ended.err
    tuned = {rate: read_result(out / "tuning" / f"opd-rate{rate:g}.json") for rate in tiny.rates}
    assert all(found is not None and found.seed == 1000 for found in tuned.values())
    row = json.loads(ended.out)["rows"][-1]
    assert row["learning_rate"] in tiny.rates and row["note"] == "best rate at the grid's edge"
    written = read_rates(out / "rates.yaml")["tiny"]
    assert written.rates == {"opd": row["learning_rate"]} and written.how.startswith("understudy bench methods")
    evaluated = read_result(out / "results" / "opd-seed0.json")
    counts = [len(one.domains["sorting"].greedy.correct) for one in (tuned[1e-3], evaluated) if one is not None]
    assert counts == [300, 6]


def test_merging_judges_against_both_experts(
    understudy: Understudy,
    own_home: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = tiny_setting(tmp_path, merges=True)
    monkeypatch.setitem(settings.SETTINGS, "tiny", made)  # type: ignore[arg-type]
    monkeypatch.setitem(datasets._CUTS, "train", ("train", 0, 40))  # type: ignore[arg-type]
    out = tmp_path / "out"
    ended = bench(understudy, "--seeds", 2, "--json", out=out)
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    labels = [row["label"] for row in content["rows"]]
    assert labels == ["start", "multiplication-expert", "sorting-expert", "average", "told", "gopd-1.5"]
    assert [verdict["label"] for verdict in content["verdicts"]] == ["average", "told", "gopd-1.5"]
    assert content["rows"][-1]["parameters"]["reference"] == content["rows"][-1]["parameters"]["student"]
    told = [json.loads(line) for line in (out / "told" / "sorting.jsonl").read_text().splitlines()]
    assert len(told) == 40 and set(told[0]) == {"prompt", "completion", "answer"}
    experts = [load_model(name).model.state_dict() for name in made.averaged]
    averaged = load_model(out / "average").model.state_dict()
    assert all(torch.equal(averaged[name], weight) for name, weight in mean_weights(experts).items())


def test_a_loss_that_is_not_finite_costs_its_own_row_alone(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wild = replace(tiny, learning_rate=1e30, contenders=(*tiny.contenders, Contender("wild", {"method": "opd"})))
    monkeypatch.setitem(settings.SETTINGS, "tiny", replace(wild, steps=6))  # type: ignore[arg-type]
    ended = bench(understudy, "--methods", "wild", "--seeds", 1, out=tmp_path / "out")
    assert ended.code == 0, ended.err
    assert "wild seed 0: diverged" in ended.err and "diverged with seed 0" in ended.out


def test_mistakes_are_told_before_anything_is_made(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    for arguments, words in (
        (("--methods", "opd,trodp"), "Did you mean 'tropd'?"),
        (("--setting", "mergd"), "Did you mean 'merge'?"),
        (("--ablation", "opd"), "no ablation has that name"),
        (("--quick", "--tuned"), "Leave out --quick"),
        (("--unified", "--tuned"), "one of them at a time"),
        (("--methods", " , "), "names nobody"),
        (("--methods", "opd", "--ablation", "tropd"), "both say what is compared"),
    ):
        ended = bench(understudy, *arguments, out=out)
        assert ended.code == 2 and words in ended.err and ended.err.count("\n") == 1, ended.err
    assert not out.exists()


def test_the_folder_of_something_else_is_left_alone(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    ended = bench(understudy, "--methods", "sft", out=out)
    assert ended.code == 2 and "holds no comparison of methods" in ended.err
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]


def test_another_comparison_in_the_folder_is_refused_by_what_differs(
    understudy: Understudy,
    tiny: Setting,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    assert bench(understudy, "--methods", "sft", "--seeds", 1, out=out).code == 0
    ended = bench(understudy, "--methods", "sft", "--seeds", 1, "--steps", 3, out=out)
    assert ended.code == 2 and "steps: 2 -> 3" in ended.err and "--out" in ended.err
    result = out / "results" / "sft-seed0.json"
    result.write_text(result.read_text().replace('"micro_batch_tokens":1024', '"micro_batch_tokens":2048'))
    changed = bench(understudy, "--methods", "sft", "--seeds", 1, out=out)
    assert changed.code == 2 and "sft-seed0.json was made by another recipe" in changed.err
    result.write_text("{")
    broken = bench(understudy, "--methods", "sft", "--seeds", 1, out=out)
    assert broken.code == 2 and "is not a result of this bench" in broken.err
