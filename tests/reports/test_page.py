"""The page as a whole: what it shows, what stays text, what it says of missing pieces."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.reports.hand_made import HOSTILE, SCRIPT, SUMMARY, Page, make_run
from understudy.errors import RunDirectoryError, UnderstudyError
from understudy.reports import write_report
from understudy.reports.reading import read_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_it_shows_every_part_of_a_run(run: Path) -> None:
    page = page_of(run)
    assert page.unbalanced == []
    titles = page.texts("h3")
    for title in ("Evaluation: greedy", "Teacher reverse KL", "Entropy", "Reward", "Accuracy", "Completion length"):
        assert title in titles
    for title in ("Truncated completions", "Gates", "Gradient norm", "Learning rate", "Time by phase"):
        assert title in titles
    assert [title.split()[1] for title in titles if title.startswith("Step ")] == ["0", "20", "29"]
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    expected = {"Method": "tropd", "Student": "some/student, LoRA of rank 8", "Time": "1 min 16 s", "Seed": "7"}
    assert expected.items() <= facts.items()
    assert facts["Commit"] == "0123456789ab"
    assert "Not recorded" not in " ".join(page.texts("p"))


def test_the_table_says_in_words_what_changed(run: Path) -> None:
    page = page_of(run)
    rows = page.texts("tr")
    assert any("Student after tropd" in row and "50.0\N{NO-BREAK SPACE}%" in row for row in rows)
    assert any("Student after sft" in row and "24.0 to 37.0" in row for row in rows), "the demo's baselines"
    text = " ".join(page.texts("p"))
    assert "Of 200 problems, the trained student does better on 90, the same on 100 and worse on 10." in text
    badges = [badge for badge in page.texts("h4") if badge.startswith("After against before")]
    assert [badge.split("before ")[1] for badge in badges] == ["better", "no clear difference"]


def test_hostile_text_stays_text(run: Path) -> None:
    page = page_of(run)
    assert [tag for tag, _ in page.tags].count("script") == 1, "the page's own"
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert SCRIPT in page.texts("h4")[-1], "and is there to be read"
    assert "{{ 7 * 7 }}" in page.texts("h4")[-1]
    raw = (run / "report.html").read_text(encoding="utf-8")
    assert not set(raw) & {"\x1b", "\x00", "\u202e"}
    assert "␛[31mred" in raw
    assert "⟨U+202E⟩" in raw


def test_tokens_show_exactly_the_completion(run: Path) -> None:
    page = page_of(run)
    shown = {text for text in page.texts("span") if text.endswith("w" * 300) and not text.startswith("Write")}
    assert len(shown) == 1, "all rollouts hold the same tokens"
    (text,) = shown
    as_shown = HOSTILE.replace("\n", "↵\n").translate({0x1B: "␛", 0: "␀", 0x202E: "⟨U+202E⟩"})
    assert text.replace("▫", "") == as_shown
    parts = sum(len(letter.encode()) - 1 for letter in HOSTILE)
    assert text.count("▫") == parts, "one mark for each byte that does not end a character"


def test_nothing_is_fetched_and_no_other_script_may_run(run: Path) -> None:
    page = page_of(run)
    links = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert all(value is not None and (value.startswith("#") or value == "data:,") for value in links)
    (policy,) = [a["content"] for tag, a in page.tags if tag == "meta" and "Policy" in (a.get("http-equiv") or "")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", (run / "report.html").read_text())


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run, out=tmp_path / "elsewhere" / "page.html").read_bytes() == first
    assert str(tmp_path).encode() not in first, "and says nothing of where the run stands"


def test_a_run_without_evaluation_and_rollouts_says_so(run: Path) -> None:
    for file in [*run.rglob("*.parquet"), run / "summary.json", run / "evaluation" / "figures.jsonl"]:
        file.unlink()
    text = " ".join(page_of(run).texts("p"))
    assert "This run has no summary.json" in text
    assert "No evaluation" in text
    assert "No rollouts were saved" in text


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("failed", "This run failed: the disk <is> full."), ("stopped", "This run was stopped (the disk <is> full);")],
)
def test_a_run_that_ended_early_says_how(run: Path, state: str, sentence: str) -> None:
    (run / "summary.json").unlink()
    (run / "ending.json").write_text(json.dumps({"state": state, "why": "the disk <is> full"}))
    assert sentence in " ".join(page_of(run).texts("p"))


def test_a_folder_with_nothing_but_a_recipe_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: early\nsteps: 4\n")
    page = page_of(tmp_path)
    text = " ".join(page.texts("p"))
    assert page.texts("h1") == ["early"]
    assert "No step has been recorded" in text
    assert "metrics.jsonl is missing" in text


def test_broken_pieces_are_told_and_left_out(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 30, "loss": 0.')
    (run / "summary.json").write_text("[1, 2")
    (run / "rollouts" / "step-000020.parquet").write_bytes(b"PAR1 no more")
    page = page_of(run)
    text = " ".join(page.texts("p"))
    assert "1 line of metrics.jsonl cannot be read" in text
    assert "summary.json is not readable as JSON" in text
    assert "rollouts/step-000020.parquet cannot be read" in text
    assert "1 value not finite and left out" in text, "of the loss"
    assert [title.split()[1] for title in page.texts("h3") if title.startswith("Step ")] == ["0", "29"]


def test_a_recipe_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Recipes are YAML 1.2: what 1.1 takes for a number, a truth or a day is text in them."""
    (tmp_path / "recipe.yaml").write_text("name: 1_000\ndata:\n  dataset: on\nstudent:\n  model: 2026-11-30\n")
    run = read_run(tmp_path)
    assert (run.name, run.datasets, run.setting("student", "model")) == ("1_000", ("on",), "2026-11-30")


def test_figures_that_are_not_numbers_do_not_reach_the_drawing(run: Path) -> None:
    wrong = {**SUMMARY, "suites": {"greedy": {"after": {"mean": "NaN", "low": None}}, SCRIPT: 3}}
    (run / "summary.json").write_text(json.dumps(wrong))
    lines = '{"step": 0, "loss": NaN, "kl/k3": null}\n{"step": 1, "loss": "x", "kl/k3": 1e400}\n{"step": null}\n'
    (run / "metrics.jsonl").write_text(lines)
    page = page_of(run)
    assert "nan" not in " ".join(attrs.get("points") or "" for _, attrs in page.tags)
    assert "Teacher reverse KL" not in page.texts("h3"), "nothing of it is finite"
    assert page.unbalanced == []


def test_without_a_tokenizer_the_ids_are_shown(run: Path) -> None:
    (run / "checkpoints" / "step-000030" / "model" / "tokenizer.json").write_text("{broken")
    page = page_of(run)
    assert "No tokenizer was found" in " ".join(page.texts("p"))
    assert re.fullmatch(r"\[\d+\]", page.texts("i")[-1])


@pytest.mark.parametrize("kind", ["nothing", "a file", "another folder"])
def test_what_is_no_run_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "a file":
        path.write_text("")
    if kind == "another folder":
        path.mkdir()
    with pytest.raises(RunDirectoryError, match=r"x is no run; .*recipe\.yaml") as refused:
        write_report(path)
    assert "\n" not in str(refused.value)


def test_a_page_that_cannot_be_written_is_one_sentence(run: Path) -> None:
    (run / "taken").write_text("")
    with pytest.raises(UnderstudyError, match="cannot be written"):
        write_report(run, out=run / "taken" / "page.html")
