"""Answers of a server put back into the rows of a request, by hand."""

from __future__ import annotations

import numpy as np
import torch

from understudy.protocols import ScoreRequest
from understudy.servers.rows import Rows
from understudy.teachers.served_rows import Columns, parts_of


def test_ids_that_only_the_server_has_leave_the_list_and_what_fills_it_has_no_mass() -> None:
    request = ScoreRequest(
        contexts=[torch.tensor([0, 1, 2])], context=torch.tensor([0, 0]), position=torch.tensor([1, 2]), top_k=3
    )
    columns = Columns(request, hidden_size=0)
    (part,) = parts_of(request)
    answer = Rows(
        sampled=np.zeros(2, np.float32),
        top_ids=np.array([[5, 0, 9], [3, 2, 1]]),
        top_logprobs=np.log(np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]], np.float32)),
    )
    columns.put(part, answer)
    columns.keep_shared(5)
    ids, logprobs = columns.wide("top_ids"), columns.wide("top_logprobs")
    assert ids is not None and logprobs is not None
    assert ids.tolist() == [[0, 1, 2], [3, 2, 1]]
    torch.testing.assert_close(logprobs.exp(), torch.tensor([[0.3, 0.0, 0.0], [0.5, 0.4, 0.1]]))
