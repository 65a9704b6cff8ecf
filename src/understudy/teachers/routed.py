"""Several teachers, each for its own contexts: a specialist for every domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from understudy.errors import RecipeError, ShapeError
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores, View, Viewed
from understudy.rollouts import Context, Rollout
from understudy.teachers.eager import EagerWrapper, expect
from understudy.teachers.hints import last_moment
from understudy.teachers.limits import fingerprint_of, refuse_beyond, shared_capabilities

Project = Callable[[Tensor], Tensor]


class RoutedScorer(EagerWrapper):
    """Implements ``Scorer``: each context is scored by the scorer that its route names.

    It can give what every one of its scorers can. Hidden states carry the number of their scorer in one more column,
    so that ``project`` sends each through the head it belongs to.

    Args:
        scorers: by route; at least one. All of them answer on one vocabulary.
    """

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        if not scorers:
            raise RecipeError("a routed teacher needs at least one route")
        self.scorers = dict(scorers)

    @property
    def capabilities(self) -> Capabilities:
        """Those that all have."""
        return shared_capabilities(self.scorers)

    @property
    def fingerprint(self) -> str:
        """Over the routes and the fingerprints behind them."""
        return fingerprint_of("routed", {name: scorer.fingerprint for name, scorer in self.scorers.items()})

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order; ``version`` is the newest of the scorers'.

        Raises:
            ShapeError: not one route a context. RecipeError: a route that no scorer has.
            CapabilityError: the request asks for what one of the scorers cannot give.
        """
        refuse_beyond(request, self.capabilities, who="the routed teacher")
        if len(request.routes) != len(request.contexts):
            raise ShapeError(
                "a routed teacher needs a route for each context",
                got=f"{len(request.routes)} for {len(request.contexts)}",
            )
        rows = self._rows_of_each(request)
        scores = [scorer.score(request.rows(own)) for scorer, own in zip(self.scorers.values(), rows, strict=True)]
        return self._merged(scores, torch.cat(rows).argsort())

    def expect(self, request: ScoreRequest) -> None:
        """Have each scorer that can begin with its own rows."""
        for scorer, own in zip(self._inner_scorers, self._rows_of_each(request), strict=True):
            expect(scorer, request.rows(own))

    @property
    def _inner_scorers(self) -> list[Scorer]:
        return list(self.scorers.values())

    def _rows_of_each(self, request: ScoreRequest) -> list[Tensor]:
        """The rows of each scorer, [M] int64."""
        check_routes(request.routes, self.scorers)
        numbers = {name: number for number, name in enumerate(self.scorers)}
        owners = torch.tensor([numbers[route] for route in request.routes], dtype=torch.int64)[request.context]
        return [(owners == number).nonzero().squeeze(1) for number in range(len(self.scorers))]

    def _merged(self, scores: Sequence[Scores], order: Tensor) -> Scores:
        def merged(name: str) -> Tensor | None:
            parts = [getattr(one, name) for one in scores]
            return None if parts[0] is None else torch.cat(parts)[order]

        sampled, has_hidden = merged("sampled"), scores[0].hidden is not None
        assert sampled is not None
        return Scores(
            sampled=sampled,
            fingerprint=self.fingerprint,
            version=max(one.version for one in scores),
            at_ids=merged("at_ids"),
            top_ids=merged("top_ids"),
            top_logprobs=merged("top_logprobs"),
            entropy=merged("entropy"),
            hidden=_numbered([one.hidden for one in scores if one.hidden is not None], order) if has_hidden else None,
            project=_by_number(scores) if has_hidden else None,
        )


def routed_view(views: Mapping[str, View], route: Callable[[Rollout], str]) -> View:
    """Each context read through the view of its route; as the student reads it where its route has none.

    Args:
        views: by route, at least one. route: of a rollout.
    """

    def read(rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
        viewed = [Viewed(context.ids, torch.arange(context.ids.numel())) for context in contexts]
        for name, view in views.items():
            own = [number for number, context in enumerate(contexts) if route(rollouts[context.rollout]) == name]
            for number, one in zip(own, view.read(rollouts, [contexts[number] for number in own]), strict=True):
                viewed[number] = one
        return viewed

    return View(last_moment(view.after for view in views.values()), read)


def check_routes(routes: Iterable[str], known: Iterable[str]) -> None:
    """Raise RecipeError for the first route that is not among the known ones."""
    known = list(known)
    for route in routes:
        if route not in known:
            raise RecipeError(
                f"no teacher has the route {route!r}",
                expected=f"one of {', '.join(map(repr, known))}",
                remedy="Add it to teacher.routes, or leave its problems out.",
            )


def _numbered(states: Sequence[Tensor], order: Tensor) -> Tensor:
    """[R, H + 1]: states of different widths filled up to the widest, the scorer's number in the last column."""
    width, device = max(one.shape[1] for one in states), states[0].device
    dtype = torch.float32  # numbers and states of less precision pass through it unchanged
    for one in states:
        dtype = torch.promote_types(dtype, one.dtype)
    parts = []
    for number, one in enumerate(states):
        part = torch.zeros(one.shape[0], width + 1, dtype=dtype, device=device)
        part[:, : one.shape[1]] = one
        part[:, -1] = number
        parts.append(part)
    return torch.cat(parts)[order.to(device)]


def _by_number(scores: Sequence[Scores]) -> Project:
    heads = [(one.project, one.hidden.shape[1]) for one in scores if one.project is not None and one.hidden is not None]

    def project(states: Tensor) -> Tensor:
        numbers = states[:, -1].long()
        rows = [(numbers == number).nonzero().squeeze(1) for number in range(len(heads))]
        parts = [head(states[own, :width]) for own, (head, width) in zip(rows, heads, strict=True)]
        return torch.cat(parts)[torch.cat(rows).argsort()]

    return project
