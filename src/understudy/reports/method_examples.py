"""The part of a recipe that a method decides, as its page shows it."""

from __future__ import annotations

from typing import Any

from understudy.objectives.methods import METHODS, MethodConfig, objective_of

_OTHER = {"teacher": {"model": "Qwen/Qwen3-8B"}}
_SELVES: dict[str, dict[str, Any]] = {
    "mopd": {"teacher": {"routes": {"math": {"model": "my/math-expert"}, "code": {"model": "my/code-expert"}}}},
    "opcd": {"teacher": {"model": "self", "weights": "initial", "view": {"kind": "system", "text": "Be brief."}}},
    "opsd": {"teacher": {"model": "self", "weights": "initial", "view": "solution"}},
    "pw_opsd": {"teacher": {"model": "self", "weights": "initial", "view": "solution"}},
    "rlsd": {"teacher": {"model": "self", "view": "solution"}},
    "sdar": {"teacher": {"model": "self", "view": {"kind": "feedback", "column": "skills"}}},
    "sdft": {"teacher": {"model": "self", "view": "demonstration"}},
    "sdpo": {
        "student": {"model": "Qwen/Qwen3-8B", "ema_decay": 0.95},
        "teacher": {"model": "self", "weights": "ema", "view": "peers"},
    },
}
"""The teachers of methods that are about who teaches; all others show another model."""


def default_of(name: str) -> MethodConfig:
    """The method's configuration as it is where a recipe gives its name alone."""
    return next(config(method=name) for config in METHODS if config.model_fields["method"].default == name)


def example_of(name: str) -> dict[str, Any]:
    """The sections of a recipe that name this method and every model it needs, its own fields at their defaults."""
    config = default_of(name)
    objective = objective_of(config)
    asked = objective.needs.scorers()
    teaches = "teacher" in asked or objective.writing.needs_teacher_text
    common = MethodConfig(method=name)
    own = {field for field, value in config if not hasattr(common, field) or getattr(common, field) != value}
    return {
        **(_SELVES.get(name, _OTHER) if teaches else {}),
        **({"reference": "initial"} if "reference" in asked else {}),
        "objective": {"method": name, **config.model_dump(mode="json", include=own, by_alias=True)},
    }
