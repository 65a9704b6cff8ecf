"""Transcripts in each form that is written, and those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.comparing.page.transcripts import MAX_TURNS, Turn, last_words, read_transcript, shown_turns

TURNS = (Turn("user", "Do it."), Turn("assistant", "Done."))


def written(folder: Path, content: object) -> Path:
    (folder / "t").mkdir(exist_ok=True)
    (folder / "t" / "transcript.json").write_text(json.dumps(content))
    return folder


def test_chat_messages_alone_or_under_a_key(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Do it."}, {"role": "assistant", "content": "Done."}]
    assert read_transcript(written(tmp_path, messages), "t") == TURNS
    assert read_transcript(written(tmp_path, {"messages": messages}), "t") == TURNS
    assert last_words(TURNS) == "Done."


def test_what_was_seen_and_said(tmp_path: Path) -> None:
    folder = written(tmp_path, [{"seen": "box", "said": "open box"}])
    assert read_transcript(folder, "t") == (Turn("seen", "box"), Turn("assistant", "open box"))


def test_calls_and_parts_are_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url"}]
    folder = written(
        tmp_path, [{"role": "tool", "content": parts}, {"role": "assistant", "tool_calls": [{"name": "ls"}]}]
    )
    seen, called = read_transcript(folder, "t")
    assert seen.text == "see\n[image_url]"
    assert '"ls"' in called.text


@pytest.mark.parametrize("content", [None, 3, {"messages": 3}, [3, {"role": "user"}], {}])
def test_nothing_to_read_is_nothing(content: object, tmp_path: Path) -> None:
    assert read_transcript(written(tmp_path, content), "t") == ()
    (tmp_path / "t" / "transcript.json").write_text("{")
    assert read_transcript(tmp_path, "t") == ()
    assert read_transcript(tmp_path, "elsewhere") == ()


def test_a_task_cannot_lead_outside(tmp_path: Path) -> None:
    written(tmp_path, [{"role": "user", "content": "secret"}])
    (tmp_path / "results").mkdir()
    assert read_transcript(tmp_path / "results", "../t") == ()


def test_long_ones_are_cut_and_it_is_said() -> None:
    shown = shown_turns(tuple(Turn("user", "x" * 9_000) for _ in range(MAX_TURNS + 5)))
    assert len(shown) == MAX_TURNS + 1
    assert shown[-1].text == "[5 further turns are not shown]"
    assert "[5,000 characters are not shown]" in shown[0].text
