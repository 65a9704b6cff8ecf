"""The models of a run: what they must share."""

from __future__ import annotations

from tests.conformance.tiny import tiny_model, tiny_tokenizer
from understudy.build.models import sharing_vocabulary
from understudy.models.load import LoadedModel, describe


def model_with(num_added: int) -> LoadedModel:
    """A padded model whose tokenizer has so many tokens more than the family's nineteen."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"extra{n}" for n in range(num_added)])
    return describe(tiny_model(vocab_size=25), tokenizer)


def test_all_models_are_cut_to_the_smallest_vocabulary_among_them() -> None:
    for sizes in ((3, 1, 2), (1, 3, 2), (2, 3, 1)):
        models = [model_with(size) for size in sizes]
        assert [model.vocab_size for model in models] == [19 + size for size in sizes]
        student, teachers = sharing_vocabulary(models[0], {"a": models[1], "b": models[2]})
        assert [student.vocab_size, *(one.vocab_size for one in teachers.values())] == [20, 20, 20]
        assert list(teachers) == ["a", "b"]
        assert teachers["a"].model is models[1].model


def test_a_student_without_teachers_keeps_its_vocabulary() -> None:
    student = model_with(2)
    assert sharing_vocabulary(student, {}) == (student, {})
