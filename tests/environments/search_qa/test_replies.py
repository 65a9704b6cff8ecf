"""Which action a reply means, and whether it has the form that was asked for."""

from __future__ import annotations

import pytest

from understudy.environments.agents import Reply
from understudy.environments.search_qa import tagged_reply, tiny_reply


@pytest.mark.parametrize(
    ("text", "action", "well_formed"),
    [
        ("<think>a</think><search>red moon</search>", "search[red moon]", True),
        ("<think>a</think><answer> Paris </answer>", "answer[Paris]", True),
        ("<search>a\n b</search> and then more", "search[a b]", True),
        ("<search>a</search><search>b</search>", "search[a]", False),
        ("<answer>a</answer><answer>b</answer>", "answer[a]", False),
        ("<answer>a</answer><search>b</search>", "search[b]", False),
        ("<think>I could <answer> now</think><answer>Rome</answer>", "answer[Rome]", True),
        ("<search></search>", "", False),
        ("<search>open", "", False),
        ("before </search> and <search>a</search>", "", False),
        ("<answer>", "", False),
        ("</search>", "", False),
        ("", "", False),
    ],
)
def test_tags(text, action, well_formed) -> None:
    assert tagged_reply(text) == Reply(action, well_formed)


def test_a_very_long_reply_is_read_at_once() -> None:
    assert tagged_reply("<search>" * 20_000) == Reply("", well_formed=False)


@pytest.mark.parametrize("text", ["", "search", "find anna", "answer  "])
def test_tiny_words_that_are_no_action(text) -> None:
    assert tiny_reply(text) == Reply("", well_formed=False)
