"""``understudy launch`` as a user meets it: dry runs and mistakes; what runs is in ``tests/launching``."""

from __future__ import annotations

import json

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import Workplace


def test_a_dry_run_prints_the_commands_and_starts_nothing(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("launch", "tiny.yaml", "steps=7", "--teachers", 2, "--dry-run")
    assert ended.code == 0 and ended.out.count("understudy serve") == 2
    assert "understudy train tiny.yaml steps=7 'teacher={" in ended.out
    assert "UNDERSTUDY_LAUNCH_KEY=$(openssl rand -hex 32)" in ended.out and not place.run.exists()
    told = json.loads(understudy("launch", "tiny.yaml", "--teachers", 1, "--dry-run", "--json").out)
    assert [part["name"] for part in told["parts"]] == ["teacher-0", "train"]


def test_several_machines_are_printed_without_being_asked(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("launch", "tiny.yaml", "--machines", 2, "--hosts", "left,right", "--teachers", 1)
    assert "# on left" in ended.out and "# on right" in ended.out and "http://right:8100" in ended.out
    assert not place.run.exists()


def test_mistakes_are_one_sentence(place: Workplace, understudy: Understudy) -> None:
    def refused(*arguments: object, words: str) -> None:
        assert_is_refused(understudy("launch", "tiny.yaml", *arguments), words)

    refused("--ranks", 0, "--dry-run", words="--ranks is out of range; got 0; expected at least 1")
    refused("--machines", 2, "--machine", 2, words="--machine is out of range; got 2; expected 0 to 1")
    refused("--machines", 2, "--machine", 0, words="expected --hosts with 2 names")
    refused("--serve-with", "magic", words="expected auto, understudy, vllm, sglang")
    refused("--teacher-options", "'", words="--teacher-options cannot be read")
    refused("teacher.cache=3", "--teachers", 1, words="teacher.cache")
    refused("--teachers", 1, "--serve-with", "vllm", words="vllm, which is not installed here")
    place.run.mkdir(parents=True)
    (place.run / "recipe.yaml").write_text("{}")
    refused("--teachers", 1, words="--resume")
