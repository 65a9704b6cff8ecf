"""A teacher of another tokenizer marks the bytes that the student wrote, and together its marks are its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import tiny_model
from tests.serving.served import served_model
from tests.teachers import families
from tests.teachers.members import Telling, local
from understudy.errors import CapabilityError, TokenizerMismatchError
from understudy.models.byte_offsets import Speller, read_tiled, tiled
from understudy.models.load import describe
from understudy.protocols import Scorer, ScoreRequest, Scores
from understudy.servers.settings import ServerSettings
from understudy.teachers.aligned import AlignedScorer
from understudy.teachers.alignment import align, groups_of
from understudy.teachers.alignment_pair import Pair, Reader, as_own
from understudy.teachers.served import connect

FAMILIES = {
    "byte-level": families.byte_level,
    "byte-level, few merges": lambda: families.byte_level(285),
    "byte fallback": families.byte_fallback,
    "metaspace": families.metaspace,
    "word-piece": families.word_piece,
    "characters": families.characters,
}
TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from([*" \nté日😀,", "the ", " sea", "12*3", "Sea", "</s>", "�"]), max_size=14).map("".join),
)
SHUFFLED = "zyxwvutsrqponmlkjihgfedcba"


def reader(tokenizer: PreTrainedTokenizerFast) -> Reader:
    return Reader(tokenizer, frozenset({tokenizer.eos_token_id}))


@cache
def pair_of(student: str, teacher: str) -> Pair:
    return Pair(reader(FAMILIES[student]()), reader(FAMILIES[teacher]()))


def aligned(pair: Pair, inner: Scorer, **options: int) -> AlignedScorer:
    sizes = {"student_size": len(pair.student.tokenizer), "teacher_size": len(pair.teacher.tokenizer)}
    return AlignedScorer(inner, pair, **sizes, **options)


def teacher_of(tokenizer: PreTrainedTokenizerFast) -> Scorer:
    return _teacher(len(tokenizer))


@cache
def _teacher(vocab_size: int) -> Scorer:
    return local(tiny_model(vocab_size=vocab_size, layers=1), vocab_size=vocab_size)


def request_of(ids: list[Tensor], places: list[tuple[int, int]], **changes: int) -> ScoreRequest:
    rows = torch.tensor(places, dtype=torch.int64).reshape(-1, 2)
    return ScoreRequest(ids, rows[:, 0], rows[:, 1], **changes)


def marks_of(scorer: AlignedScorer, mixed: Tensor, **changes: int) -> tuple[list[int], Scores]:
    """Of every token of the row that has a place."""
    places = [number for number, place in enumerate(scorer.pair.read(mixed).places) if place is not None]
    return places, scorer.score(request_of([mixed], [(0, place) for place in places], **changes))


# ------------------------------------------------------------------------------------------------ laws


@pytest.mark.parametrize("prefix_top_k", [0, 7, 10_000])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("byte-level, few merges", "byte-level"),
        ("byte-level", "byte-level, few merges"),
        ("byte-level", "byte fallback"),
        ("byte fallback", "byte-level"),
        ("metaspace", "byte-level"),
        ("characters", "byte fallback"),
        ("byte-level", "word-piece"),
    ],
)
@settings(max_examples=15, deadline=None)
@given(text=TEXTS)
def test_the_marks_of_a_group_are_together_those_of_the_teachers_tokens(
    ours: str, theirs: str, prefix_top_k: int, text: str
) -> None:
    """An oracle by other means: the groups are found in the text, their log-probs asked of the teacher itself."""
    pair = pair_of(ours, theirs)
    student_ids = read_tiled(pair.student_speller, text).ids
    opening = torch.tensor([pair.teacher.tokenizer.eos_token_id, 5])
    mixed = torch.cat([as_own(opening), torch.tensor(student_ids, dtype=torch.int64)])
    teacher = teacher_of(pair.teacher.tokenizer)
    places, scores = marks_of(aligned(pair, teacher, prefix_top_k=prefix_top_k), mixed)
    marks = dict(zip(places, scores.sampled.tolist(), strict=True))
    if any(id in pair.student_speller.special_ids for id in student_ids):
        return  # unknown characters cut the text in several
    begins = (pair.teacher_speller.piece(5) or b"").isspace()
    laid = tiled(pair.student_speller, student_ids, opening=begins)
    read = read_tiled(pair.teacher_speller, laid.text.decode())
    context = torch.cat([opening, torch.tensor(read.ids, dtype=torch.int64)])
    own = teacher.score(request_of([context], [(0, place) for place in range(2, len(context))])).sampled.tolist()
    seen = set()
    for group in groups_of(laid, read):
        inside = [2 + one for one in group.student if laid.ends[one] > laid.starts[one]]
        exact = all(laid.exact[one] for one in group.student) and all(read.exact[one] for one in group.teacher)
        assert all((one in marks) == exact for one in inside)
        if exact:
            assert sum(marks[one] for one in inside) == pytest.approx(sum(own[one] for one in group.teacher), abs=1e-4)
            assert all(marks[one] <= 1e-6 for one in inside)
            seen |= set(inside)
    assert set(marks) == seen


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_equal_tokenizers_give_exactly_the_scores_without_alignment(family: str, data: st.DataObject) -> None:
    """Also of ids that no tokenizer would read so, and of special tokens among them."""
    pair = pair_of(family, family)
    ids = data.draw(st.lists(st.integers(0, len(pair.student.tokenizer) - 1), min_size=2, max_size=20))
    teacher = teacher_of(pair.teacher.tokenizer)
    scorer = aligned(pair, teacher)
    request = request_of([torch.tensor(ids)], [(0, place) for place in range(1, len(ids))], top_k=3)
    ours, theirs = scorer.score(request), teacher.score(request)
    assert torch.equal(ours.sampled, theirs.sampled)
    assert torch.equal(ours.top_ids, theirs.top_ids)
    assert torch.equal(ours.top_logprobs, theirs.top_logprobs)


@settings(max_examples=30, deadline=None)
@given(text=st.text(alphabet=SHUFFLED, min_size=2, max_size=20))
def test_equal_tokens_by_other_ids_give_the_scores_of_the_other_ids(text: str) -> None:
    """Only the names of the tokens differ: the real alignment must find what a table of names would."""
    ours, theirs = families.characters(), families.characters(SHUFFLED)
    pair = Pair(reader(ours), reader(theirs))
    ids, other = (torch.tensor(one(text, add_special_tokens=False)["input_ids"]) for one in (ours, theirs))
    teacher = teacher_of(theirs)
    places = [(0, place) for place in range(1, len(text))]
    marks = aligned(pair, teacher).score(request_of([ids], places, top_k=4))
    plain = teacher.score(request_of([other], places, top_k=len(theirs)))
    assert torch.allclose(marks.sampled, plain.sampled, atol=1e-6)
    name = {theirs.convert_tokens_to_ids(c): ours.convert_tokens_to_ids(c) for c in [*SHUFFLED, "<s>", "</s>"]}
    for row in range(len(places)):
        best = [
            (name[id], p)
            for id, p in zip(plain.top_ids[row].tolist(), plain.top_logprobs[row].tolist(), strict=True)
            if id in name
        ]
        assert marks.top_ids[row].tolist() == [id for id, _ in best[:4]]
        assert marks.top_logprobs[row].tolist() == pytest.approx([p for _, p in best[:4]], abs=1e-6)


class TestConformance(ScorerSuite):
    """Equal tokenizers: an aligned teacher answers as any other."""

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        tokenizer = families.characters("abcdefghijklmn")
        assert len(tokenizer) == self.vocab_size

        def make(model: PreTrainedModel, *, vocab_size: int) -> AlignedScorer:
            return aligned(Pair(reader(tokenizer), reader(tokenizer)), local(model, vocab_size=vocab_size))

        return make


class TestServedConformance(TestConformance):
    """The same behind a real server: what the teacher reads goes over the wire in its own tokens."""

    @pytest.fixture
    def make_scorer(self) -> Iterator[MakeScorer]:
        tokenizer = families.characters("abcdefghijklmn")
        with ExitStack() as stack:

            def make(model: PreTrainedModel, *, vocab_size: int) -> AlignedScorer:
                # A copy: the server hooks into its model, and two threads must not run one.
                loaded = replace(describe(deepcopy(model), None), vocab_size=vocab_size)
                url = stack.enter_context(served_model(loaded, max_logprobs=-1))
                return aligned(
                    Pair(reader(tokenizer), reader(tokenizer)), connect(ServerSettings((url,)), vocab_size=vocab_size)
                )

            yield make


# ------------------------------------------------------------------------------------------------ by hand


def by_hand(teacher_text: dict[str, float]) -> tuple[AlignedScorer, Tensor]:
    """``aa``: two characters for the student; the teacher says ``a``, ``ab``, ``aa``, ... with these probabilities."""
    pair = Pair(reader(families.characters("ab")), reader(whole_words(list(teacher_text))))
    logits = torch.full((len(pair.teacher.tokenizer),), -math.inf)
    for token, probability in teacher_text.items():
        logits[pair.teacher.tokenizer.convert_tokens_to_ids(token)] = torch.tensor(probability).log()
    return aligned(pair, Fixed(logits)), torch.tensor([-1, *pair.student.tokenizer("aa")["input_ids"]])


def whole_words(words: list[str]) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models

    vocabulary = {token: id for id, token in enumerate([*families.SPECIALS, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    return families.wrapped(tokenizer)


class Fixed:
    """One distribution for every row."""

    fingerprint = "fixed"

    def __init__(self, logits: Tensor) -> None:
        self.logprobs = logits.log_softmax(0)

    @property
    def capabilities(self) -> object:
        return local(tiny_model(vocab_size=len(self.logprobs)), vocab_size=len(self.logprobs)).capabilities

    def score(self, request: ScoreRequest) -> Scores:
        said = [
            request.contexts[c][p] for c, p in zip(request.context.tolist(), request.position.tolist(), strict=True)
        ]
        top = self.logprobs.expand(len(said), -1).topk(request.top_k, dim=1)
        scores = Scores(self.logprobs[torch.stack(said)], "fixed", 0)
        return replace(scores, top_ids=top.indices, top_logprobs=top.values) if request.top_k else scores


def test_within_a_token_the_text_so_far_is_as_likely_as_all_that_begin_with_it() -> None:
    scorer, mixed = by_hand({"a": 0.1, "ab": 0.3, "aa": 0.2, "b": 0.4})
    marks = scorer.score(request_of([mixed], [(0, 1), (0, 2)])).sampled.exp()
    assert marks.tolist() == pytest.approx([0.1 + 0.3 + 0.2, 0.2 / 0.6])


def test_without_candidates_the_tokens_of_the_student_share_evenly() -> None:
    scorer, mixed = by_hand({"a": 0.1, "ab": 0.3, "aa": 0.2, "b": 0.4})
    even = AlignedScorer(scorer.inner, scorer.pair, student_size=5, teacher_size=7, prefix_top_k=0)
    marks = even.score(request_of([mixed], [(0, 1), (0, 2)])).sampled
    assert marks.tolist() == pytest.approx([math.log(0.2) / 2] * 2)
    assert even.fingerprint != scorer.fingerprint


def test_what_a_teacher_calls_impossible_is_marked_so_once() -> None:
    """A server's -inf: the first of the student's tokens within the teacher's one has it, the second no NaN."""
    scorer, mixed = by_hand({"a": 0.1, "ab": 0.9, "aa": 0.0, "b": 0.0})
    even = AlignedScorer(scorer.inner, scorer.pair, student_size=5, teacher_size=7, prefix_top_k=0)
    assert even.score(request_of([mixed], [(0, 1), (0, 2)])).sampled.tolist() == [-math.inf, 0.0]


def test_candidates_of_the_teacher_come_under_the_students_ids_and_the_others_leave_their_mass_out() -> None:
    scorer, _ = by_hand({"a": 0.1, "ab": 0.3, "aa": 0.2, "b": 0.4})
    a, b = scorer.pair.student.tokenizer.convert_tokens_to_ids(["a", "b"])
    mixed = torch.tensor([-1, b])
    scores = scorer.score(request_of([mixed], [(0, 1)], top_k=3))
    assert scores.top_ids[0, :2].tolist() == [b, a]
    assert scores.top_logprobs.exp().tolist() == [pytest.approx([0.4, 0.1, 0.0])]
    assert scorer.capabilities.top_k == scorer.capabilities.vocab_size == len({"a", "b", "<s>", "</s>"})


# ------------------------------------------------------------------------------------------------ special tokens


def test_the_end_of_the_one_is_the_end_of_the_other_whatever_its_name() -> None:
    ours, theirs = families.characters(), families.byte_level()
    closing = theirs.convert_tokens_to_ids("<s>")
    pair = Pair(reader(ours), Reader(theirs, frozenset({closing})))
    mixed = torch.tensor([-6, *ours("the")["input_ids"], ours.eos_token_id])
    read = pair.read(mixed)
    assert read.ids[-1] == closing and read.places[-1].is_one_token
    _, scores = marks_of(aligned(pair, teacher_of(theirs)), mixed)
    own = teacher_of(theirs).score(request_of([read.ids], [(0, len(read.ids) - 1)])).sampled
    assert scores.sampled[-1] == pytest.approx(float(own), abs=1e-5)


def test_special_tokens_of_one_name_are_one_and_others_are_not_read() -> None:
    ours, theirs = families.byte_level(), families.byte_fallback()
    pair = Pair(reader(ours), reader(theirs))
    unknown, opens = ours.convert_tokens_to_ids(["<unk>", "<s>"])
    read = pair.read(torch.tensor([-1, unknown, opens, *ours("the")["input_ids"]]))
    assert theirs.convert_ids_to_tokens(read.ids.tolist()[1:]) == ["<s>", *theirs.tokenize("the")]
    assert read.places[1] is None and read.places[2].is_one_token
    lone = Pair(reader(families.byte_level()), Reader(families.characters("the "), frozenset()))
    read = lone.read(torch.tensor([-1, *ours("the")["input_ids"], ours.eos_token_id]))
    assert "</s>" in families.characters("the ").get_vocab()  # a token, but nothing ends with it, and no other ends
    assert read.places[-1] is None and len(read.ids) == 4


def test_a_teacher_whose_tokenizer_opens_texts_opens_them_once() -> None:
    """BOS asymmetry: the student has one or none, the teacher has one."""
    ours, theirs = families.byte_level(), families.byte_fallback()
    pair = Pair(reader(ours), reader(theirs))
    words = ours("the sea")["input_ids"]
    plain = pair.read(torch.tensor(words))
    assert plain.ids.tolist() == theirs("the sea")["input_ids"]
    assert [place is not None for place in plain.places] == [True] * len(words)
    doubled = pair.read(torch.tensor([ours.convert_tokens_to_ids("<s>"), *words]))
    assert doubled.ids.tolist() == plain.ids.tolist()
    assert doubled.places[0] is None and doubled.places[1:] == plain.places
    back = Pair(reader(theirs), reader(ours)).read(torch.tensor(theirs("the sea")["input_ids"]))
    assert b"".join(pair.student_speller.spell(back.ids.tolist())[1:]) in (b"the sea",)


def test_words_that_name_a_special_token_stay_words() -> None:
    ours, theirs = families.characters("</s>ab"), families.byte_level()
    pair = Pair(reader(ours), reader(theirs))
    ids = [ours.convert_tokens_to_ids(c) for c in "a</s>b"]
    read = pair.read(torch.tensor([-6, *ids]))
    assert theirs.eos_token_id not in read.ids.tolist()
    assert all(place is not None for place in read.places[1:])


def test_a_first_space_is_kept_where_the_text_goes_on() -> None:
    """The student's ``▁sea`` after a prompt that ends in a word is `` sea``; after a new line it is ``sea``."""
    ours, theirs = families.byte_fallback(), families.byte_level()
    pair = Pair(reader(ours), reader(theirs))
    sea = ours(" sea", add_special_tokens=False)["input_ids"]
    for prompt, expected in (("A:", " sea"), ("A:\n", "sea")):
        own = torch.tensor(theirs(prompt)["input_ids"])
        read = pair.read(torch.cat([as_own(own), torch.tensor(sea)]))
        assert theirs.decode(read.ids.tolist()) == prompt + expected


# ------------------------------------------------------------------------------------------------ what it refuses


def test_a_row_without_a_counterpart_is_refused_and_never_zero() -> None:
    ours, theirs = families.byte_level(), families.word_piece()
    pair = Pair(reader(ours), reader(theirs))
    mixed = torch.tensor([-6, *ours("the Sea")["input_ids"]])
    lost = [number for number, place in enumerate(pair.read(mixed).places) if place is None and number]
    assert lost
    with pytest.raises(TokenizerMismatchError, match="AlignedReading"):
        aligned(pair, teacher_of(theirs)).score(request_of([mixed], [(0, lost[0])]))


def test_a_top_k_is_for_tokens_of_both_and_no_more_than_they_share() -> None:
    pair = pair_of("characters", "byte-level")
    scorer = aligned(pair, teacher_of(pair.teacher.tokenizer))
    mixed = torch.tensor([-6, *pair.student.tokenizer("the ")["input_ids"]])
    assert not any(place.is_one_token for place in pair.read(mixed).places[1:4])
    with pytest.raises(TokenizerMismatchError, match="single counterpart"):
        scorer.score(request_of([mixed], [(0, 1)], top_k=2))
    with pytest.raises(CapabilityError, match="entropies"):
        scorer.score(replace(request_of([mixed], [(0, 1)]), entropy=True))
    limited = aligned(pair, Telling(scorer.inner, hides=frozenset({"top_k"})))
    assert limited.capabilities.top_k == 0
    assert sum(limited.score(request_of([mixed], [(0, 1), (0, 2), (0, 3)])).sampled) < 0


def test_tokens_of_student_and_teacher_that_cross_are_one_group() -> None:
    ours, theirs = Speller(whole_words(["ab", "cde"])), Speller(whole_words(["abc", "de"]))
    laid, read = tiled(ours, [3, 4]), tiled(theirs, [3, 4])
    assert [(list(g.student), list(g.teacher)) for g in groups_of(laid, read)] == [([0, 1], [0, 1])]
    first, second = align(laid, read)
    assert first.end == second.start and (first.end.token, first.end.inside, first.end.share) == (0, 2, 0.5)
