"""Question files as they are published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.environments.search_qa import load_paragraphs, load_questions, write_corpus, write_rows
from understudy.errors import DataError
from understudy.recipe import Source
from understudy.tasks import load_tasks
from understudy.tasks.retrieval import build_index, open_index

NQ = [{"question": "who", "answer": ["Bobby", "Bob"]}, {"question": "when", "answer": ["2017"]}]
HOTPOT = [{"question": "same?", "answer": "yes", "type": "comparison"}]
SQUAD = {
    "data": [
        {
            "title": "Red_Planet",
            "paragraphs": [
                {
                    "context": "Mars is red.",
                    "qas": [{"id": "x1", "question": "Colour?", "answers": [{"text": "red"}, {"text": "red"}]}],
                },
                {"context": "It has two moons.", "qas": []},
            ],
        }
    ]
}
DATA = Path(__file__).parents[3].parent / "shared" / "data"


def file(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    lines = "".join(f"{json.dumps(row)}\n" for row in value) if name.endswith("l") else json.dumps(value)
    path.write_text(lines)
    return path


def test_the_three_forms(tmp_path) -> None:
    nq = load_questions(file(tmp_path, "nq.jsonl", NQ), domain="nq")
    assert [(t.problem, t.prompt, t.columns["golden_answers"], t.domain) for t in nq] == [
        ("nq-0", "who", ["Bobby", "Bob"], "nq"),
        ("nq-1", "when", ["2017"], "nq"),
    ]
    (hotpot,) = load_questions(file(tmp_path, "hotpot.json", HOTPOT))
    assert (hotpot.columns["golden_answers"], hotpot.columns["type"], hotpot.domain) == (
        ["yes"],
        "comparison",
        "hotpot",
    )
    (squad,) = load_questions(file(tmp_path, "squad.json", SQUAD))
    assert (squad.problem, squad.prompt, squad.columns["golden_answers"]) == ("x1", "Colour?", ["red"])


def test_paragraphs_become_a_corpus(tmp_path) -> None:
    documents = load_paragraphs(file(tmp_path, "squad.json", SQUAD))
    assert [(one.id, one.contents) for one in documents] == [
        ("0-0", '"Red Planet"\nMars is red.'),
        ("0-1", '"Red Planet"\nIt has two moons.'),
    ]
    write_corpus(documents, tmp_path / "corpus.jsonl")
    (tmp_path / "index").mkdir()
    build_index(tmp_path / "corpus.jsonl", tmp_path / "index")
    retriever = open_index(tmp_path / "corpus.jsonl", tmp_path / "index")
    assert retriever.retrieve(["moons"], top_k=1)[0][0].document == documents[1]


def test_rows_that_were_written_are_a_recipes_data(tmp_path) -> None:
    tasks = load_questions(file(tmp_path, "nq.jsonl", NQ))
    write_rows(tasks, tmp_path / "out" / "train.jsonl")
    read = load_tasks(Source(dataset=str(tmp_path / "out" / "train.jsonl")))
    assert [(t.problem, t.prompt, t.columns["golden_answers"]) for t in read] == [
        (t.problem, t.prompt, t.columns["golden_answers"]) for t in tasks
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a.jsonl", [NQ[0], {"question": "who"}], "line 2: problem a-1 has no gold answer"),
        ("a.jsonl", [{"answer": "who"}], "line 1: problem a-0 has no question"),
        ("a.jsonl", [{"question": "who", "answer": []}], "line 1: problem a-0 has no gold answer"),
        ("a.json", {"data": []}, "has no question"),
        ("a.json", {"data": [{}]}, "an article of .* has no paragraphs"),
        ("a.json", {"data": [{"paragraphs": [{"context": "c", "qas": [{}]}]}]}, "question 1 has no answers"),
        ("a.json", [], "is empty"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(tmp_path, name, value, said) -> None:
    with pytest.raises(DataError, match=said):
        load_questions(file(tmp_path, name, value))


def test_what_has_no_paragraphs_is_no_corpus(tmp_path) -> None:
    with pytest.raises(DataError, match="not in SQuAD's form"):
        load_paragraphs(file(tmp_path, "hotpot.json", HOTPOT))


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not beside this checkout (../shared/data)")
def test_the_published_files() -> None:
    counts = {
        "nq_open/NQ-open.dev.jsonl": 3610,
        "xquad_en/xquad.en.json": 1190,
        "hotpot_react/hotpot_dev_v1_simplified.json": 7405,
    }
    assert {name: len(load_questions(DATA / name)) for name in counts} == counts
    paragraphs = load_paragraphs(DATA / "xquad_en/xquad.en.json")
    assert len(paragraphs) == 240
