from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from tests.bench.speed.hand_made_speeds import comparison, measured, python_with_a_trl
from understudy.bench.speed import comparing, tables
from understudy.bench.speed.apart import MeasurementError, Place, measure_apart
from understudy.bench.speed.comparing import Order, Ratio, alternating, compare, fastest_of, ratio_of
from understudy.bench.speed.following import Following
from understudy.bench.speed.limits import Limits
from understudy.bench.speed.machine import interpreter_named, peer_versions, this_machine
from understudy.bench.speed.memory import long_size
from understudy.bench.speed.outcome import Outcome, section_of, text_of
from understudy.bench.speed.settings import PEER_SETTINGS
from understudy.errors import UserMistakeError


def test_ratios_are_taken_within_a_round():
    mine = [measured(seconds) for seconds in (1.0, 2.0, 4.0)]
    theirs = [measured(seconds) for seconds in (3.0, 4.0, 20.0)]
    assert ratio_of(mine, theirs) == Ratio(3.0, 2.0, 5.0)


def test_settings_of_the_two_sides_take_turns():
    mine, theirs = [("ours", "a"), ("ours", "b"), ("ours", "c")], [("peer", "x")]
    assert alternating(mine, theirs) == [("ours", "a"), ("peer", "x"), ("ours", "b"), ("ours", "c")]


def test_trls_defaults_its_fastest_float32_and_its_fastest_are_chosen():
    seconds = {"distillation-default": 9.0, "distillation-float32": 5.0, "gkd-float32": 4.0, "gkd-bfloat16": 2.0}
    assert fastest_of(seconds) == ["distillation-default", "gkd-float32", "gkd-bfloat16"]
    assert fastest_of({"gkd-float32": 4.0}) == ["gkd-float32"]  # the defaults failed
    assert fastest_of({}) == []


def test_both_sides_take_turns_and_a_setting_that_fails_is_left_out_with_its_reason(monkeypatch):
    asked: list[tuple[str, str]] = []

    def stand_in(module: str, arguments: dict, place: Place) -> dict:
        if module == "writing":
            return {"num_bytes": 1}
        job = arguments["job"]
        asked.append((job["side"], job["setting"]))
        assert (place.python is None) == (job["side"] == "ours")
        if job["setting"] == "gkd-float32" and job["side"] == "peer" and asked.count(asked[-1]) == 2:
            raise MeasurementError("it was ended by SIGKILL")
        done = measured(2.0 if job["side"] == "peer" else 1.0)
        return {"seconds": done.seconds, "tokens": 1.0, "memory_mib": 1.0, "peak_mib": 2.0}

    monkeypatch.setattr(comparing, "measure_apart", stand_in)
    monkeypatch.setattr("understudy.bench.speed.writing.measure_apart", stand_in)
    order = Order(
        rounds=3, peer_python="python", settings=("opd-float32",), peer_settings=("gkd-float32", "gkd-bfloat16")
    )
    found = compare("mini", order, Following())
    first = [("ours", "opd-float32"), ("peer", "gkd-float32"), ("peer", "gkd-bfloat16")]
    assert asked == [*first, *first, first[0], first[2]]
    assert set(found.ours) == {"opd-float32"} and set(found.peers) == {"gkd-bfloat16"}
    assert found.failures == {"TRL gkd-float32": "it was ended by SIGKILL"}
    assert ratio_of(found.ours["opd-float32"], found.peers["gkd-bfloat16"]) == Ratio(2.0, 2.0, 2.0)


def test_the_tables_by_hand():
    found = comparison()
    seconds = dict(zip(*tables.seconds_table(found)[:2], strict=True))
    assert seconds["seconds a step"] == "Understudy opd-float32"
    assert (seconds["sample"], seconds["step"], seconds["tokens/s"], seconds["peak MiB"]) == (
        "0.375",
        "1.500",
        "18",
        "10",
    )
    assert tables.ratio_table(found)[1] == ["Understudy opd-float32", "2.50 (2.00 to 3.00)"]
    assert tables.memory_ratio_table(found)[1] == ["Understudy opd-float32", "0.50"]


def test_the_text_and_the_section_say_where_what_and_what_failed():
    machine = this_machine(threads=1, clock="cpu", peer_python=None)
    outcome = Outcome(machine, Limits(100.0, 400.0, 10.0), [comparison()])
    section = section_of(outcome, command="understudy bench speed")
    assert section.startswith("`understudy bench speed`\n") and "| Understudy opd-float32 | 2.50" in section
    for text in (section, text_of(outcome)):
        assert "TRL gkd-float32 is not in the tables: it was ended by SIGKILL, perhaps for lack of memory." in text
        assert "1 thread(s) a side, cpu seconds" in text and "float32 products 100 GFLOP/s" in text
    assert not outcome.has_failed
    assert json.loads(json.dumps(outcome.to_json()))["found"][0]["explored"] == {"distillation-default": 3.5}


@pytest.mark.timeout(580)
def test_a_process_that_fails_or_hangs_says_so_in_one_line(tmp_path: Path):
    with pytest.raises(MeasurementError, match=r"No module named 'understudy\.bench\.speed\.nothing'"):
        measure_apart("nothing", {}, Place(limit_seconds=400))
    hangs = tmp_path / "python"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    began = time.monotonic()
    with pytest.raises(MeasurementError, match=r"longer than 0\.2 s"):
        measure_apart("limits", {}, Place(str(hangs), limit_seconds=0.2))
    assert time.monotonic() - began < 30
    dies = tmp_path / "dies"
    dies.write_text("#!/bin/sh\nkill -9 $$\n")
    dies.chmod(0o755)
    with pytest.raises(MeasurementError, match="ended by SIGKILL, perhaps for lack of memory"):
        measure_apart("limits", {}, Place(str(dies), limit_seconds=400))


@pytest.mark.timeout(580)
def test_trls_python_is_asked_for_its_versions_before_anything_is_measured(tmp_path: Path):
    with pytest.raises(UserMistakeError, match="there is no such Python; got 'no-such-python'"):
        interpreter_named("no-such-python")
    broken, good = tmp_path / "broken", tmp_path / "good"
    for folder in (broken, good):
        folder.mkdir()
    python = python_with_a_trl(broken, body="raise ImportError('its torch is too old')")
    with pytest.raises(UserMistakeError, match="cannot import trl; got ImportError: its torch is too old"):
        peer_versions(str(python))
    assert peer_versions(str(python_with_a_trl(good)))["trl"] == "9.9"
    assert interpreter_named(sys.executable) == str(Path(sys.executable).absolute())


def test_the_peers_default_stands_among_its_settings():
    assert comparing.PEER_DEFAULT in PEER_SETTINGS and PEER_SETTINGS[comparing.PEER_DEFAULT].checkpointing


def test_a_long_sequence_has_so_many_tokens():
    size = long_size(4096)
    assert size.longest + 1 == 4096 and size.batch == 1  # and the end token
