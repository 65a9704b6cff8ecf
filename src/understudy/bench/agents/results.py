"""What a run of an agent leaves."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.bench.results import Record


class Played(Record):
    """A model on a list of games, one attempt each at temperature 1.

    Args:
        won: 1 or 0 for each game, in the data set's order. turns: of each. invalid: turns of each whose reply was no
            action, or none on offer. repeated: turns of each that saw and did what an earlier turn had.
        reverse_kl: mean log pi_S - log pi_T a token of the attempts, nats, by teacher. entropy: mean of the exact
            entropies, nats.
    """

    won: tuple[int, ...]
    turns: tuple[int, ...]
    invalid: tuple[int, ...]
    repeated: tuple[int, ...]
    reverse_kl: Mapping[str, float] = {}
    entropy: float | None = None

    @property
    def success(self) -> float:
        """Share of games that were won."""
        return sum(self.won) / len(self.won)

    @property
    def length(self) -> float:
        """Mean turns of a game."""
        return sum(self.turns) / len(self.turns)

    @property
    def invalid_rate(self) -> float:
        """Invalid turns a turn."""
        return sum(self.invalid) / max(1, sum(self.turns))

    @property
    def loop_share(self) -> float:
        """Repeated turns a turn."""
        return sum(self.repeated) / max(1, sum(self.turns))


class Course(Record):
    """What happened on the way; all but the last two at the steps ``validated``, on the validation games.

    Args:
        validated: steps done. success, turns, invalid, loops, reverse_kl: of the games then played; the last to the
            contender's own teacher. ratio_at: steps whose rollouts were kept. ratio: mean |kappa A_OPD| / mean
            |rho A_GRPO| of each, from those rollouts; None where all rewards of every group were equal.
    """

    validated: tuple[int, ...] = ()
    success: tuple[float, ...] = ()
    turns: tuple[float, ...] = ()
    invalid: tuple[float, ...] = ()
    loops: tuple[float, ...] = ()
    reverse_kl: tuple[float | None, ...] = ()
    ratio_at: tuple[int, ...] = ()
    ratio: tuple[float | None, ...] = ()


class AgentResult(Record):
    """A run, or a model that was only measured.

    Args:
        label: of the contender. seed: of the run and of the attempts. recipe: of the run; empty where nothing was
            trained. teacher: the contender's own. final: the last weights on unseen games. best: those of the
            checkpoint that won most validation games, the earliest of equals. best_step: its steps.
        course: on the way. seconds: of all training steps. diverged: why there are no figures.
    """

    label: str
    seed: int
    recipe: Mapping[str, object] = {}
    teacher: str = ""
    final: Played | None = None
    best: Played | None = None
    best_step: int | None = None
    course: Course = Course()
    seconds: float = 0.0
    diverged: str | None = None

    @property
    def known(self) -> Played:
        """The final figures, of a run that has some."""
        assert self.final is not None, "it diverged"
        return self.final
