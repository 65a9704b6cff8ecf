"""What arrives is checked before it is believed."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.servers.other_servers import npy as npy_text
from tests.servers.other_servers import plain
from understudy.errors import ServerAnswerError
from understudy.servers.decoding import entry, finite, flat, logprobs, npy, numbers

TABLE = np.array([[-0.5, -1.5], [-2.5, -3.5]], dtype="<f4")


def test_arrays_arrive_as_they_were_sent() -> None:
    assert npy(npy_text(TABLE), name="x", dtype="<f4", shape=(2, 2)).tolist() == TABLE.tolist()
    assert flat(plain(TABLE), name="x", dtype="<f4", shape=(2, 2)).tolist() == TABLE.tolist()


def _truncated() -> str:
    return npy_text(TABLE)[:-8]


def _huge() -> str:
    """A header that promises a terabyte."""
    content = base64.b64decode(npy_text(TABLE)).replace(b"(2, 2)", b"(262144, 1048576)")
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "got null"),
        (7, "got int"),
        ("!!!", "no base64"),
        (_truncated()[:-1], "no base64"),
        (_truncated(), r"10 bytes; expected 16 for"),
        (base64.b64encode(b"hello").decode(), r"5 bytes that are no \.npy"),
        (npy_text(TABLE.astype("<f8")), "got float64"),
        (npy_text(TABLE.T[:, :1]), r"got float32 \[2, 1\]"),
        (npy_text(np.asfortranarray(np.ones((2, 2), "<f4") * TABLE)), "Fortran"),
        (_huge(), "no .npy|262144"),
        (npy_text(np.array([[{}, {}], [{}, {}]], dtype=object)), "got object"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(text: object, said: str) -> None:
    with pytest.raises(ServerAnswerError, match=said) as caught:
        npy(text, name="prompt_token_id_logprobs", dtype="<f4", shape=(2, 2))
    assert str(caught.value).startswith("prompt_token_id_logprobs is malformed")
    assert "\n" not in str(caught.value)


def test_plain_bytes_must_be_as_many_as_the_shape_says() -> None:
    with pytest.raises(ServerAnswerError, match="got 12 bytes; expected 16"):
        flat(plain(TABLE.ravel()[:3]), name="x", dtype="<f4", shape=(2, 2))


def test_sentinels_are_minus_infinity_and_numbers_stay() -> None:
    found = logprobs(np.array([-9999.0, -9000.0, -8999.0, -0.25, 5e-4]), name="x")
    assert found.tolist() == [-np.inf, -np.inf, -8999.0, -0.25, 0.0]
    assert found.dtype == np.float32


def test_what_is_no_log_prob_is_refused() -> None:
    with pytest.raises(ServerAnswerError, match="x holds NaN; got 1 of 2"):
        logprobs(np.array([np.nan, -1.0]), name="x")
    with pytest.raises(ServerAnswerError, match=r"no log-probabilities; got 12\.5.*raw_logprobs"):
        logprobs(np.array([12.5, -1.0]), name="x")
    with pytest.raises(ServerAnswerError, match="NaN or infinity"):
        finite(np.array([np.inf]), name="x")
    with pytest.raises(ServerAnswerError, match="no value at place 1; got null"):
        numbers([-1.0, None], name="x")


def test_a_missing_place_is_named() -> None:
    with pytest.raises(ServerAnswerError, match=r"no choices\.0\.logprobs"):
        entry({"choices": [{}]}, "choices", 0, "logprobs")
    with pytest.raises(ServerAnswerError, match=r"no choices\.0;"):
        entry({"choices": []}, "choices", 0)
