"""A teacher of your own: the student's first self with one rule, here "do not answer at once".

    python examples/own_teacher.py                                     # the testbed's student, six steps
    python examples/own_teacher.py TOKEN RECIPE.yaml key.sub=value ... # any recipe without a teacher

A teacher is whatever answers `score(request) -> Scores`: one row for each requested token, in nats. What it cannot give
(top-k, entropies) it does not promise in `capabilities`, and a method that needs it is refused before step 0.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import torch
from torch import Tensor

import understudy as us
from understudy import testbed
from understudy.engines.local import LocalScorer
from understudy.models.load import load_model
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores
from understudy.training.rollout_files import file_of, read


class NotAtOnce:
    """A scorer's distribution, except that a completion begins with `token` only a hundredth as often."""

    capabilities = Capabilities()
    """Log-probs of the tokens that stand there, and nothing more: enough for `opd`."""

    def __init__(self, inner: Scorer, token: int) -> None:
        self._inner, self._token = inner, token
        self.fingerprint = f"{inner.fingerprint}-not-{token}-at-once"

    def score(self, request: ScoreRequest) -> Scores:
        """The inner scorer's log-probs; at the first place of a completion with the rule, normalised again."""
        rows = len(request.position)
        scores = self._inner.score(replace(request, ids=torch.full((rows, 1), self._token)))
        assert scores.at_ids is not None
        logprob, share = scores.sampled, scores.at_ids[:, 0].exp()
        is_token = torch.tensor([token == self._token for token in standing(request)])
        ruled = logprob - is_token * math.log(100) - torch.log1p(-0.99 * share)
        sampled = torch.where(first_places(request), ruled, logprob)
        return Scores(sampled=sampled, fingerprint=self.fingerprint, version=scores.version)


def standing(request: ScoreRequest) -> list[int]:
    """The token that stands at each requested place."""
    places = zip(request.context.tolist(), request.position.tolist(), strict=True)
    return [int(request.contexts[context][position]) for context, position in places]


def first_places(request: ScoreRequest) -> Tensor:
    """[R] bool: the first requested place of its context, where the completion begins."""
    first: dict[int, int] = {}
    for context, position in zip(request.context.tolist(), request.position.tolist(), strict=True):
        first[context] = min(position, first.get(context, position))
    return request.position == torch.tensor([first[context] for context in request.context.tolist()])


def main(arguments: list[str]) -> tuple[float, float]:
    word, path, *overrides = arguments or [
        "#",
        "recipes/testbed-opd.yaml",
        "name=own-teacher",
        "teacher=null",
        "steps=6",
    ]
    recipe = us.load_recipe(path, [*overrides, "evaluation.suites=[]"])
    name = recipe.student.model
    student = load_model(testbed.resolve_model(name) if testbed.is_testbed(name) else name)
    token = student.known_tokenizer.convert_tokens_to_ids(word)
    assert isinstance(token, int), f"{word!r} is not one token of {name}"
    run = us.train(recipe, teacher=NotAtOnce(LocalScorer(student), token))
    before, after = (share_beginning_with(token, run, step) for step in (0, run.outcome.step - 1))
    print(f"Answers that begin with {word!r}: {before:.0%} at the first step, {after:.0%} at the last")
    return before, after


def share_beginning_with(token: int, run: us.Run, step: int) -> float:
    """Share of a step's completions whose first token is this one, from the run's rollout files."""
    firsts = [int(rollout.turns[0].completion_ids[0]) for rollout in read(file_of(run.path / "rollouts", step))]
    return sum(first == token for first in firsts) / len(firsts)


if __name__ == "__main__":
    main(sys.argv[1:])
