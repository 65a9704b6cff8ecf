"""Results with known figures, and a setting of tiny untaught models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.bench.contenders import Contender, by_method
from understudy.bench.results import Curves, Measured, Performance, RunResult
from understudy.bench.settings import Domain, Setting
from understudy.testbed import resolve_model
from understudy.testbed.models import Architecture, Schooling

DOMAINS = (Domain("products", "testbed/multiplication", "t"), Domain("order", "testbed/sorting", "t", trained=False))

TINY = Architecture(layers=1, width=16, heads=2, kv_heads=1, head_width=8, mlp_width=16)


def measured(correct: Sequence[int], *, reverse_kl: float | None = None, entropy: float | None = None) -> Measured:
    return Measured(correct=tuple(correct), length=10.0, truncated=0.0, reverse_kl=reverse_kl, entropy=entropy)


def result(
    label: str,
    seed: int,
    products: Sequence[int],
    order: Sequence[int] = (1, 1, 0, 0),
    *,
    rate: float | None = 1e-3,
    norms: Sequence[float] = (2.0, 4.0),
    seconds: float = 6.0,
    diverged: str | None = None,
) -> RunResult:
    """Greedy answers are all wrong; the sampled ones are as given."""
    domains = {
        name: Performance(
            greedy=measured([0] * len(answers)), sampled=measured(answers, reverse_kl=0.5 + seed, entropy=0.25)
        )
        for name, answers in (("products", products), ("order", order))
    }
    return RunResult(
        label=label,
        seed=seed,
        recipe={} if rate is None else {"optimizer": {"learning_rate": rate}, "seed": seed},
        domains={} if diverged else domains,
        curves=Curves() if rate is None else curves(norms, entropy=(1.0, 0.5 + seed)),
        seconds=0.0 if rate is None else seconds,
        phases={} if rate is None else {"sample": 0.1, "update": 0.2},
        parameters={"student": 100},
        diverged=diverged,
    )


def curves(norms: Sequence[float], *, entropy: tuple[float, float]) -> Curves:
    return Curves(
        grad_norm=tuple(norms),
        own_entropy=(None,) * len(norms),
        probed=(0, 2),
        entropy=entropy,
        reverse_kl=(2.0, 1.0),
        accuracy=(0.0, 0.5),
        length=(9.0, 8.0),
    )


def tiny_setting(home: Path, *, merges: bool = False) -> Setting:
    """Student and teachers that learned for two steps; ``home`` is UNDERSTUDY_HOME already."""
    schoolings = {
        f"testbed/tiny-{seed}": Schooling(
            TINY, foreign_share=0.5, steps=2, batch_size=4, warmup_steps=1, seed=seed, subject="two-tasks"
        )
        for seed in range(3)
    }
    models = {name: str(resolve_model(name, schoolings=schoolings)) for name in schoolings}
    student, first, second = models.values()
    return Setting(
        name="tiny",
        about="Tiny models that know nothing.",
        student=student,
        domains=(
            Domain("multiplication", "testbed/multiplication", first),
            Domain("sorting", "testbed/sorting", second if merges else first, trained=merges),
        ),
        contenders=(
            Contender("told", {"method": "sft"}, tells=True),
            Contender("gopd-1.5", {"method": "gopd", "lambda": 1.5}),
        )
        if merges
        else by_method(("sft", "opd", "gkd")),
        averaged=(first, second) if merges else (),
        merges=merges,
        learning_rate=1e-3,
        rates=(1e-3, 1e-2),
        steps=2,
        prompts=2,
        generations=2,
        max_completion_length=6,
        top_k=4,
    )
