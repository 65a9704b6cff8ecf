"""What a teacher reads that is told more than the student: ids and places worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from tests.models.test_chat import BOS, CHATML, EOS, letters, make_tokenizer
from understudy.errors import DataError
from understudy.models.chat import decode, encode_continuation, encode_prompt
from understudy.protocols import Prompt, Viewed
from understudy.rollouts import Context, FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tasks.templates import parse_template
from understudy.teachers.hints import Hint, column, fixed, successful_peer
from understudy.teachers.insertion import Insert, as_system, by_template
from understudy.teachers.privileged import Privilege, Telling
from understudy.tokens import batch_of
from understudy.training.views import read_through, rows_seen_by_all

TOKENIZER = make_tokenizer()
AFTER = by_template(parse_template("{prompt} = {text}.", field="t"))
CHAT = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "two"}]


def turn(shown: Prompt | None, text: str, *, prompt_ids: torch.Tensor | None = None) -> Turn:
    ids = torch.tensor([*letters(TOKENIZER, text), EOS])
    if prompt_ids is None:
        prompt_ids = torch.tensor([7, 8, 9]) if shown is None else encode_prompt(TOKENIZER, shown)
    return Turn(
        prompt_ids=prompt_ids,
        completion_ids=ids,
        origin=torch.full_like(ids, Origin.STUDENT),
        behaviour_logprob=torch.zeros(ids.numel()),
        weight_version=torch.zeros_like(ids),
        finish_reason=FinishReason.STOP,
        shown=shown,
    )


def rollout(*turns: Turn, key: int = 0, group: int = 0, correct: bool | None = None, **extra: object) -> Rollout:
    return Rollout(key, group, "p", turns, FinishReason.STOP, correct=correct, extra=extra)


def privilege(*pairs: tuple[Hint, Insert], max_length: int = 200, kwargs: Mapping[str, object] | None = None) -> Any:
    return Privilege([Telling(*pair) for pair in pairs], TOKENIZER, max_length, kwargs)


def viewed(told: Privilege, *rollouts: Rollout) -> tuple[list[Viewed], list[Context]]:
    contexts = contexts_of(rollouts)
    return told.read(rollouts, contexts), contexts


def text_of(one: Viewed) -> str:
    return decode(TOKENIZER, one.ids, skip_special_tokens=False)


def test_a_text_prompt_takes_the_hint_by_its_template_and_the_completion_stays() -> None:
    (one,), (context,) = viewed(privilege((column("gold"), AFTER)), rollout(turn("1+1", "two"), gold="2"))
    assert one.ids.tolist() == [BOS, *letters(TOKENIZER, "1+1 = 2.two"), EOS]
    assert context.ids.tolist() == [BOS, *letters(TOKENIZER, "1+1two"), EOS]
    assert one.position.tolist() == [-1, -1, -1, -1, 9, 10, 11, 12]
    assert one.ids[one.position[4:]].equal(context.ids[4:]), "each token stands where the teacher reads it"


def test_braces_in_the_hint_are_text() -> None:
    assert AFTER("a {text}", "{prompt}") == "a {text} = {prompt}."


def test_a_hint_goes_into_the_last_message_of_the_user() -> None:
    (one,), (context,) = viewed(privilege((column("gold"), AFTER)), rollout(turn(CHAT, "yes"), gold="x"))
    assert text_of(one) == decode(TOKENIZER, context.ids, skip_special_tokens=False).replace("two<", "two = x.<")
    assert one.ids[one.position[-4:]].equal(context.ids[-4:])
    assert CHAT[-1]["content"] == "two", "what was shown stays as it is"


def test_a_chat_without_a_user_gets_a_message() -> None:
    assert AFTER([{"role": "system", "content": "s"}], "x") == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": " = x."},
    ]


def test_a_system_text_stands_first() -> None:
    assert as_system("1+1", "think") == "think\n\n1+1"
    assert as_system(CHAT, "think") == [{"role": "system", "content": "think"}, *CHAT]
    mine = [{"role": "system", "content": "mine"}, *CHAT]
    assert as_system(mine, "think") == [{"role": "system", "content": "think\n\nmine"}, *CHAT]


def test_arguments_of_the_chat_template_are_the_student_s() -> None:
    told = privilege((fixed("s"), as_system), kwargs={"no_think": True})
    (one,), _ = viewed(told, rollout(turn(CHAT, "yes")))
    assert text_of(one).endswith("<|im_start|>assistant\n<x>yes</s>")


def test_a_growing_context_has_the_hint_in_its_first_prompt_only() -> None:
    first = turn("1+1", "two")
    so_far = torch.cat([first.prompt_ids, first.completion_ids])
    added = encode_continuation(TOKENIZER, "go on", last_id=EOS)
    second = turn("go on", "four", prompt_ids=torch.cat([so_far, added]))
    views, contexts = viewed(privilege((column("gold"), AFTER)), rollout(first, second, gold="2"))
    (one,), (context,) = views, contexts
    assert text_of(one) == "<s>1+1 = 2.two</s>go onfour</s>"
    scored = batch_of([rollout(first, second)], contexts).table["position"]
    assert scored.numel() == 4 + 5
    assert one.ids[one.position[scored]].equal(context.ids[scored])
    assert (one.position[scored] - scored).unique().tolist() == [5]


def test_every_fresh_context_has_the_hint_in_its_own_prompt() -> None:
    told = privilege((column("gold"), AFTER))
    views, _ = viewed(told, rollout(turn("1+1", "two"), turn("2+2", "four"), gold="x"))
    assert [text_of(one) for one in views] == ["<s>1+1 = x.two</s>", "<s>2+2 = x.four</s>"]


@pytest.mark.parametrize(
    "missing",
    [lambda: rollout(turn("1+1", "two")), lambda: rollout(turn(None, "two"), gold="2")],
    ids=["nothing to tell", "nobody knows what was shown"],
)
def test_what_cannot_be_told_has_no_row(missing: Callable[[], Rollout]) -> None:
    views, contexts = viewed(privilege((column("gold"), AFTER)), missing())
    assert [one.position.tolist() for one in views] == [[-1] * contexts[0].ids.numel()]


def test_a_text_beyond_the_teacher_s_context_has_no_row() -> None:
    one = rollout(turn("1+1", "two"), gold="2")
    assert viewed(privilege((column("gold"), AFTER), max_length=13), one)[0][0].position.max() == 12
    assert viewed(privilege((column("gold"), AFTER), max_length=12), one)[0][0].position.max() == -1


def test_rows_of_a_batch_with_and_without_something_to_tell() -> None:
    rollouts = [rollout(turn("a", "bc"), gold="2"), rollout(turn("a", "de"), key=1), Rollout(2, 0, "p", (), "stop")]  # type: ignore[arg-type]
    contexts = contexts_of(rollouts)
    table = batch_of(rollouts, contexts).table
    reading = read_through(privilege((column("gold"), AFTER)).view(), rollouts, contexts, table)
    rows = rows_seen_by_all([reading], table.num_tokens)
    assert table["rollout"][rows].unique().tolist() == [0]
    kept = reading.keep_rows(rows)
    ids = [int(kept.contexts[c][p]) for c, p in zip(kept.context, kept.position, strict=True)]
    assert ids == table["token_id"][rows].tolist() == [*letters(TOKENIZER, "bc"), EOS]


def test_several_hints_stand_together_and_one_is_enough() -> None:
    more = by_template(parse_template("{prompt} + {text}", field="t"))
    told = privilege((column("gold"), AFTER), (column("feedback", after="reward"), more), (fixed("sys"), as_system))
    assert told.view().after == "reward"
    rollouts = [
        rollout(turn("q", "a"), gold="1", feedback="f"),
        rollout(turn("q", "a"), feedback="f"),
        rollout(turn("q", "a"), gold="1"),
        rollout(turn("q", "a")),
    ]
    views, _ = viewed(told, *rollouts)
    texts = [text_of(one).removeprefix("<s>sys\n\n") for one in views]
    assert texts[:3] == ["q = 1. + fa</s>", "q + fa</s>", "q = 1.a</s>"]
    assert views[3].position.max() == -1, "the system text alone says nothing of this task"


def test_peers_read_each_other_and_not_themselves() -> None:
    told = privilege((successful_peer(TOKENIZER, success=0.5), AFTER))
    rollouts = [
        rollout(turn("q", "good"), key=0, correct=True),
        rollout(turn("q", "bad"), key=1, correct=False),
        rollout(turn("r", "other"), key=2, group=1, correct=False),
    ]
    views, _ = viewed(told, *rollouts)
    assert views[0].position.max() == -1, "the only success is its own"
    assert text_of(views[1]) == "<s>q = good.bad</s>"
    assert views[2].position.max() == -1, "nobody of its group succeeded"


def test_a_template_that_refuses_the_messages_is_the_user_s_mistake() -> None:
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    strict = make_tokenizer(template=refusal + CHATML)
    told = Privilege([Telling(fixed("s"), as_system)], strict, 200)
    with pytest.raises(DataError, match="refuses the messages; got roles system, user, assistant, user"):
        viewed(told, rollout(turn(CHAT, "yes")))
