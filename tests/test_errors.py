from __future__ import annotations

import pytest

from understudy import errors
from understudy.errors import MissingColumnError, RecipeError, ShapeError, UnderstudyError

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UnderstudyError)]


def test_message_has_what_got_expected_and_remedy_in_that_order():
    error = RecipeError("steps is out of range", got=0, expected="1 or more", remedy="Write steps: 50.")
    assert str(error) == "steps is out of range; got 0; expected 1 or more. Write steps: 50."


def test_parts_that_are_not_given_leave_no_trace():
    assert str(ShapeError("empty")) == "empty"
    assert str(ShapeError("a turn", expected=3)) == "a turn; expected 3"


def test_a_falsy_value_is_still_shown():
    assert str(ShapeError("count", got=0)) == "count; got 0"
    assert str(ShapeError("name", got="")) == "name; got "


def test_missing_column_reads_as_a_sentence_although_it_is_a_key_error():
    error = MissingColumnError("no column", remedy="Ask for it.")
    assert isinstance(error, KeyError)
    assert str(error) == "no column. Ask for it."


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_also_a_standard_one_and_has_an_exit_code(kind: type[UnderstudyError]):
    users_mistake = issubclass(kind, errors.UserMistakeError)
    assert kind.exit_code == (2 if users_mistake else 1)
    if kind is not UnderstudyError:
        standard = (ValueError, RuntimeError, KeyError, ArithmeticError, OSError, TypeError, MemoryError)
        assert issubclass(kind, standard), "callers who know only Python's own errors can catch it"
    with pytest.raises(UnderstudyError, match="broken; got 1"):
        raise kind("broken", got=1)
