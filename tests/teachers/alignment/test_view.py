"""What a teacher of another tokenizer reads: its own template, and in it the words of the student."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tests.teachers import families
from understudy.models.chat import encode_continuation, encode_prompt
from understudy.protocols import Prompt, Viewed
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.teachers.alignment_pair import Pair, Reader
from understudy.teachers.alignment_view import AlignedReading
from understudy.teachers.hints import fixed
from understudy.teachers.insertion import as_system
from understudy.teachers.privileged import Privilege, Telling

ASKED = [{"role": "user", "content": "the sea?"}]
AGAIN = [{"role": "user", "content": "and the shore?"}]


def with_template(tokenizer: PreTrainedTokenizerFast, template: str) -> PreTrainedTokenizerFast:
    other = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, unk_token="<unk>", eos_token="</s>", bos_token=tokenizer.bos_token
    )
    other.chat_template = template
    return other


OURS = with_template(
    families.byte_level(), "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
)
THEIRS = with_template(families.byte_fallback(), families.TEMPLATE)


def reading(**changes: object) -> AlignedReading:
    pair = Pair(*(Reader(one, frozenset({one.eos_token_id})) for one in (OURS, THEIRS)))
    return replace(AlignedReading(pair, Privilege((), THEIRS, max_length=500)), **changes)


def turn(before: list[int], shown: Prompt | None, said: str, *, growing: bool = False) -> Turn:
    if growing:
        assert shown is not None
        added = encode_continuation(OURS, shown, last_id=before[-1])
        prompt = torch.cat([torch.tensor(before), added])
    else:
        prompt = encode_prompt(OURS, shown or "the sea?")
    ids = torch.tensor([*OURS(said)["input_ids"], OURS.eos_token_id])
    count = torch.zeros(len(ids))
    return Turn(prompt, ids, count.long() + Origin.STUDENT, count, count.long(), FinishReason.STOP, shown=shown)


def rollout(*turns: Turn) -> Rollout:
    return Rollout(0, 0, "p", turns, FinishReason.STOP)


def read(one: AlignedReading, of: Rollout) -> tuple[Viewed, list[int]]:
    (viewed,) = one.view().read([of], contexts_of([of]))
    return viewed, one.pair.read(viewed.ids).ids.tolist()


def test_the_teacher_reads_its_own_template_around_the_students_words() -> None:
    first = turn([], ASKED, "wide")
    second = turn([*first.prompt_ids.tolist(), *first.completion_ids.tolist()], AGAIN, "near the ship", growing=True)
    of = rollout(first, second)
    viewed, ids = read(reading(), of)
    spoken = [
        *ASKED,
        {"role": "assistant", "content": "wide"},
        *AGAIN,
        {"role": "assistant", "content": "near the ship"},
    ]
    whole = THEIRS.apply_chat_template(spoken, tokenize=False)
    assert THEIRS.decode(ids).replace(" ", "") == whole.replace(" ", "")
    (context,) = contexts_of([of])
    own = (context.origin == Origin.STUDENT).tolist()
    assert (viewed.position >= 0).tolist() == own
    assert viewed.ids[viewed.position[own]].tolist() == context.ids[own].tolist()
    aligned = reading().pair.read(viewed.ids)
    ends = [aligned.places[int(p)] for p in viewed.position[own]]
    assert ids[ends[-1].start.token] == THEIRS.eos_token_id
    assert sum(a.end == b.start for a, b in pairwise(ends)) == len(ends) - 2, "a prompt stands between the two turns"


def test_a_prompt_of_text_is_read_as_text_with_the_teachers_opening() -> None:
    of = rollout(turn([], "the sea is", " wide"))
    _, ids = read(reading(), of)
    assert ids[0] == THEIRS.bos_token_id != OURS.bos_token_id
    assert ids[: len(THEIRS("the sea is")["input_ids"])] == THEIRS("the sea is")["input_ids"]
    assert THEIRS.decode(ids, skip_special_tokens=True) == "the sea is wide"


def test_what_the_teacher_is_told_stands_in_its_own_prompt() -> None:
    told = Privilege((Telling(fixed("the shore"), as_system),), THEIRS, max_length=500)
    one = reading(privilege=told)
    viewed, ids = read(one, rollout(turn([], ASKED, "wide")))
    assert THEIRS.decode(ids).replace(" ", "") == "[system]theshore</s>[user]thesea?</s>[assistant]wide</s>"
    assert int((viewed.position >= 0).sum()) == len(OURS("wide")["input_ids"]) + 1


def test_words_that_nobody_knows_the_origin_of_leave_the_rest_unread() -> None:
    first = turn([], ASKED, "wide")
    second = turn([*first.prompt_ids.tolist(), *first.completion_ids.tolist()], AGAIN, "near", growing=True)
    viewed, _ = read(reading(), rollout(first, replace(second, shown=None)))
    before = first.prompt_ids.numel()
    assert (viewed.position >= 0).nonzero().squeeze(1).tolist() == list(
        range(before, before + len(first.completion_ids))
    )
    assert (read(reading(), rollout(replace(first, shown=None)))[0].position == -1).all()


def test_a_text_that_the_teacher_has_no_room_for_has_no_rows() -> None:
    of = rollout(turn([], ASKED, "wide"))
    _, ids = read(reading(), of)
    for room, kept in ((len(ids), True), (len(ids) - 1, False)):
        one = reading(privilege=Privilege((), THEIRS, max_length=room))
        assert bool((read(one, of)[0].position >= 0).any()) == kept


@pytest.mark.parametrize("said", ["wide the sea", "日本 naïve 12*34"])
def test_only_tokens_of_both_are_kept_for_a_top_k(said: str) -> None:
    of = rollout(turn([], ASKED, said))
    every, one = read(reading(), of)[0], read(reading(one_to_one=True), of)[0]
    pair = reading().pair
    places = pair.read(every.ids).places
    kept = [int(p) >= 0 and places[int(p)].is_one_token for p in every.position]
    assert (one.position >= 0).tolist() == kept
    assert 0 < sum(kept) < int((every.position >= 0).sum())
