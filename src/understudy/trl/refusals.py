"""What TRL's trainers take or have, and these do not: each with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.errors import RecipeError

_REMEDIES: Mapping[str, str] = {
    "callbacks": "metrics.jsonl and report_to tell what happens; evaluation.stop_after in a recipe ends a run early.",
    "optimizers": "AdamW by the arguments of args is what there is.",
    "quantization_config": "Load the teacher elsewhere: teacher: {server: URL} in a recipe reads a served one.",
    "tools": "An environment with tools (docs/tools.md) trains agents.",
    "data_collator": "Batches are packed by token.",
    "compute_metrics": "Write a suite with a verifier in a recipe's evaluation.",
    "preprocess_logits_for_metrics": "Write a suite with a verifier in a recipe's evaluation.",
    "formatting_func": "Map the data set to columns prompt and completion, or messages.",
}


def refuse(**given: object) -> None:
    """Raises RecipeError for the first argument that was given, by its name in TRL."""
    for name, value in given.items():
        if value:
            raise RecipeError(f"{name} has no counterpart here", expected="None", remedy=_REMEDIES[name])


_FIGURES = "output_dir/metrics.jsonl has every step, state.log_history the same, and summary.json what came out."
_INSTEAD = {
    "add_callback": "metrics.jsonl and report_to tell what happens.",
    "log_metrics": _FIGURES,
    "save_metrics": _FIGURES,
    "log": _FIGURES,
    "predict": "understudy evaluate puts a saved model to suites.",
    "create_model_card": "Every checkpoint has its card, save_model copies it.",
    "compute_loss": "A method of your own is an Objective (examples/own_method.py).",
}


def no_counterpart(trainer: object, name: str) -> AttributeError:
    """The error for an attribute that a trainer of transformers has, or that nobody has."""
    kind = type(trainer).__name__
    has = "train, evaluate, save_model, save_state, push_to_hub, model, processing_class, state, args, run and recipe"
    return AttributeError(f"understudy.trl.{kind} has no {name}; it has {has}. {_INSTEAD.get(name, '')}".rstrip())
