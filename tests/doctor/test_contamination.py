"""Copies of evaluation problems in training data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.doctor.contamination import RUN_WORDS, contamination_finding, overlap_of, words_of
from understudy.protocols import Task

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


def tasks(*prompts: object) -> list[Task]:
    return [Task(f"p{number}", prompt) for number, prompt in enumerate(prompts)]  # type: ignore[arg-type]


def test_case_and_spacing_do_not_hide_a_copy() -> None:
    found = overlap_of("s", tasks("What is 2 + 2?"), tasks("nothing", "what IS\n2+2 ?"))
    assert found.exact == ("p0",) and found.shared == () and found.examples == (("p0", "p1"),)
    assert contamination_finding(found).verdict == "stop"


def test_a_run_of_thirteen_words_is_shared_and_twelve_are_not() -> None:
    assert len(LONG.split()) == RUN_WORDS
    assert overlap_of("s", tasks(f"{LONG} and more"), tasks(f"so {LONG}")).shared == ("p0",)
    shorter = LONG.rsplit(" ", 1)[0]
    found = overlap_of("s", tasks(f"{shorter} and more"), tasks(f"so {shorter}"))
    assert found.shared == () and contamination_finding(found).verdict == "ok"


def test_an_exact_copy_is_not_counted_twice() -> None:
    found = overlap_of("s", tasks(LONG), tasks(LONG))
    assert found.exact == ("p0",) and found.shared == ()


def test_a_system_message_that_all_share_is_no_copy() -> None:
    def chat(words: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": LONG}, {"role": "user", "content": words}]

    found = overlap_of("s", tasks(chat("first")), tasks(chat("second")))
    assert contamination_finding(found).verdict == "ok"


@given(st.lists(st.text(alphabet="ab1+ ", max_size=12), max_size=6), st.lists(st.text(alphabet="ab1+ ", max_size=12)))
def test_exact_copies_are_those_with_equal_words(problems: list[str], training: list[str]) -> None:
    found = overlap_of("s", tasks(*problems), tasks(*training))
    seen = {words_of(text) for text in training}
    assert set(found.exact) == {f"p{n}" for n, text in enumerate(problems) if words_of(text) in seen}
