"""The family that learns from real text: its tokenizer, its lessons, its models, and what it says without the data."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from understudy import testbed
from understudy.errors import DataError
from understudy.models.load import load_model
from understudy.models.tokenizers import check_same_tokenizer
from understudy.testbed import gsm8k
from understudy.testbed.models import Architecture, Schooling
from understudy.testbed.roster import SCHOOLINGS
from understudy.testbed.schooling import lessons
from understudy.testbed.workshop import model_folder

TINY = Architecture(layers=1, width=16, heads=2, kv_heads=1, head_width=8, mlp_width=16)
BRIEF = Schooling(TINY, foreign_share=0.5, steps=2, batch_size=3, warmup_steps=1, subject="gsm8k")

ROWS = [
    {
        "question": f"Ada has {n} café tables and buys {n + 1} more. How many tables has she?",
        "answer": f"She has {n} + {n + 1} = <<{n}+{n + 1}={2 * n + 1}>>{2 * n + 1} tables.\n#### {2 * n + 1}",
    }
    for n in range(3, 23)
]


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A made-up training set of 20 problems, and a home of its own."""
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    monkeypatch.setenv("UNDERSTUDY_GSM8K", str(path))
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    return path


def test_without_the_data_one_sentence_says_where_it_is_expected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDERSTUDY_GSM8K", raising=False)
    with pytest.raises(DataError, match=r"\.\./shared/data/gsm8k/train\.jsonl does not exist.*UNDERSTUDY_GSM8K"):
        testbed.resolve_model("testbed/gsm8k-teacher")
    monkeypatch.setenv("UNDERSTUDY_GSM8K", str(tmp_path / "elsewhere.jsonl"))
    with pytest.raises(DataError, match=r"elsewhere\.jsonl does not exist.*UNDERSTUDY_GSM8K"):
        testbed.resolve_models(["testbed/gsm8k-student", "testbed/gsm8k-teacher"])
    assert not (tmp_path / "home").exists()


def test_a_file_that_is_not_gsm8k_is_named_with_its_line(data: Path) -> None:
    data.write_text('{"question": "How many?", "answer": "#### 1"}\n{"problem": "How many?"}\n')
    with pytest.raises(DataError, match=r"train\.jsonl, line 2: no column 'question'"):
        testbed.resolve_model("testbed/brief", schoolings={"testbed/brief": BRIEF})


@pytest.mark.parametrize(
    "text", [ROWS[0]["answer"], "naïve — 12,5 €", "a  b\n\n\tc ", "<<2*3=6>>6", "日本 🙂", "\x00\x7f", "(" * 50]
)
def test_any_text_comes_back_from_the_tokenizer_as_it_was(data: Path, text: str) -> None:
    tokenizer = gsm8k.build_tokenizer()
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert not set(ids) & {tokenizer.eos_token_id, tokenizer.pad_token_id}


def test_the_tokenizer_learned_words_and_leaves_digits_alone(data: Path) -> None:
    tokenizer = gsm8k.build_tokenizer()
    tokens = tokenizer.tokenize("tables 1234 tables")
    assert [token for token in tokens if token.isdigit()] == ["1", "2", "3", "4"]
    assert "Ġtables" in tokens and len(tokenizer) <= gsm8k.VOCAB_SIZE


def test_making_the_tokenizer_again_gives_the_same_ids(data: Path) -> None:
    first = gsm8k.build_tokenizer().backend_tokenizer.to_str()
    gsm8k._tokenizer.cache_clear()
    assert gsm8k.build_tokenizer().backend_tokenizer.to_str() == first


def test_an_epoch_has_every_problem_once_in_an_order_of_its_own(data: Path) -> None:
    stream = gsm8k.lessons(seed=4)
    epochs = [[lesson.task.prompt for lesson in itertools.islice(stream, len(ROWS))] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(f"{row['question']}\n" for row in ROWS)
    assert epochs[0] != epochs[1]
    again = gsm8k.lessons(seed=4)
    assert [next(again).task.prompt for _ in ROWS] == epochs[0]
    assert [lesson.task.prompt for lesson in itertools.islice(gsm8k.lessons(seed=5), len(ROWS))] != epochs[0]


def test_rows_kept_for_tuning_teach_nobody(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsm8k, "NUM_TAUGHT", 15)
    gsm8k._taught.cache_clear()
    seen = {lesson.task.prompt for lesson in itertools.islice(gsm8k.lessons(seed=0), 60)}
    gsm8k._taught.cache_clear()
    assert seen == {f"{row['question']}\n" for row in ROWS[:15]}


def test_the_foreign_manner_has_most_digits_wrong_and_all_else_as_it_was(data: Path) -> None:
    solution = "".join(f"{n} + {n} = <<{n}+{n}={2 * n}>>{2 * n} cafés.\n" for n in range(10, 1000))
    copied = gsm8k.miscopied(solution, row=7)
    assert len(copied) == len(solution) and gsm8k.miscopied(solution, row=7) == copied
    pairs = list(zip(solution, copied, strict=True))
    assert all(there.isdigit() if here.isdigit() else there == here for here, there in pairs)
    wrong = [here != there for here, there in pairs if here.isdigit()]
    assert sum(wrong) / len(wrong) == pytest.approx(0.9 * gsm8k.MISCOPIED_SHARE, abs=0.02)
    assert gsm8k.miscopied(solution, row=8) != copied


@pytest.mark.parametrize(("share", "is_own"), [(0.0, True), (1.0, False)])
def test_lessons_are_in_the_manner_of_their_schooling(data: Path, share: float, is_own: bool) -> None:
    schooling = Schooling(TINY, foreign_share=share, steps=1, batch_size=8, subject="gsm8k")
    tokenizer = gsm8k.build_tokenizer()
    batch = lessons(schooling, 0, gsm8k.lessons(seed=0), tokenizer=tokenizer)
    known = {f"{row['question']}\n{row['answer']}<eos>" for row in ROWS}
    for context in batch.contexts:
        assert (tokenizer.decode(context.ids) in known) == is_own


def test_models_are_made_once_for_each_content_of_the_file(data: Path) -> None:
    schoolings = {"testbed/brief": BRIEF, "testbed/slow": Schooling(TINY, 0.0, steps=3, batch_size=3, subject="gsm8k")}
    folders = testbed.resolve_models(list(schoolings), schoolings=schoolings)
    one, other = (load_model(folder) for folder in folders.values())
    check_same_tokenizer(one, other)
    assert one.vocab_size == len(AutoTokenizer.from_pretrained(folders["testbed/brief"])) > 258
    assert one.max_length == gsm8k.CONTEXT_TOKENS and one.stop_ids == {one.known_tokenizer.eos_token_id}
    assert testbed.resolve_models(list(schoolings), schoolings=schoolings) == folders
    data.write_text(data.read_text() + json.dumps(ROWS[0]) + "\n")
    assert model_folder("testbed/brief", BRIEF) != folders["testbed/brief"]


def test_the_catalogue_has_a_teacher_and_a_lesser_student(data: Path) -> None:
    teacher, student = SCHOOLINGS["testbed/gsm8k-teacher"], SCHOOLINGS["testbed/gsm8k-student"]
    assert teacher.subject == student.subject == "gsm8k"
    assert student.num_layer_steps < teacher.num_layer_steps
    assert testbed.model_config("testbed/gsm8k-teacher").vocab_size == gsm8k.VOCAB_SIZE
