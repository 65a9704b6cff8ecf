"""Every kind of input that is fuzzed, and how often: the cheap ones often, the costly ones seldom."""

from __future__ import annotations

from dataclasses import dataclass

from tests.hardening.kinds import answers, data_files, pages, recipes, requests, run_folders, stored, templates, words
from tests.hardening.target import Opened


@dataclass(frozen=True)
class Kind:
    """One target. ``share``: of 1000 inputs."""

    opened: Opened
    share: int


KINDS: dict[str, Kind] = {
    "recipe-text": Kind(recipes.recipe_text, 40),
    "recipe-fields": Kind(recipes.recipe_data, 50),
    "overrides": Kind(recipes.overrides, 30),
    "suite-text": Kind(recipes.suite_text, 40),
    "data-file": Kind(data_files.data_file, 100),
    "server-answer": Kind(answers.scores_and_draws, 150),
    "server-identity": Kind(answers.identities, 60),
    "served-head": Kind(answers.heads, 100),
    "metric-lines": Kind(run_folders.metrics, 60),
    "checkpoint-files": Kind(run_folders.manifests, 30),
    "policy-checkpoint": Kind(run_folders.policies, 10),
    "model-folder": Kind(run_folders.models, 5),
    "resumed-run": Kind(run_folders.resumed, 3),
    "rollout-file": Kind(run_folders.rollouts, 60),
    "reported-run": Kind(run_folders.reports, 2),
    "tool-calls": Kind(words.tool_calls, 80),
    "verdicts": Kind(words.verdicts, 90),
    "rubrics": Kind(words.rubrics, 90),
    "request": Kind(requests.requests, 60),
    "chat-template": Kind(templates.chat_templates, 40),
    "hostile-report": Kind(pages.reports, 2),
    "stored-scores": Kind(stored.scores, 40),
    "evaluation-journal": Kind(stored.journals, 60),
    "stored-votes": Kind(stored.votes, 60),
}
