"""Gates combine as sets do, and ask for what both of them need."""

from __future__ import annotations

import torch

from tests.objectives.oracle import rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import after_first, every_token, student_tokens, teacher_entropy_above, top_entropy
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import TokenTable, batch_of


def table_of(*origins: Origin) -> TokenTable:
    rollout = rollout_of([1] * len(origins), key=0, group=0, origin=Origin.STUDENT)
    rollout.turns[0].origin[:] = torch.tensor(origins)
    return batch_of([rollout], contexts_of([rollout])).table


def test_and_or_and_not_by_hand():
    table = table_of(Origin.STUDENT, Origin.TEACHER, Origin.STUDENT, Origin.DATA)
    own, late = student_tokens, after_first(2)

    def rows(gate):
        return gate(table, PlanContext()).tolist()

    assert rows(own) == [True, False, True, False]
    assert rows(late) == [False, False, True, True]
    assert rows(own & late) == [False, False, True, False]
    assert rows(own | late) == [True, False, True, True]
    assert rows(~own) == [False, True, False, True]
    assert rows(~(own | late)) == rows(~own & ~late) == [False, True, False, False]
    assert rows(own | ~own) == rows(every_token) == [True] * 4


def test_a_combination_is_named_after_its_parts_and_needs_what_they_need():
    unsure, doubted = top_entropy(0.2), teacher_entropy_above(0.8)
    both = {"student_entropy", "teacher_entropy"}
    assert (unsure & ~doubted).needs.columns == (unsure | doubted).needs.columns == both
    assert (unsure & ~doubted).name == "top_entropy&~teacher_uncertain"
    assert (unsure | doubted).name == "(top_entropy|teacher_uncertain)"
