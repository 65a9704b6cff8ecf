"""The servers of a recipe: who answers, with what limits, repeatably, and enough for the method?"""

from __future__ import annotations

from understudy.build.servers import linked, served_models
from understudy.doctor.alignment import alignment_finding
from understudy.doctor.findings import Finding, ok, stop, stop_for, warn
from understudy.errors import UnderstudyError
from understudy.models.load import LoadedModel
from understudy.objectives.methods import objective_of
from understudy.protocols import Capabilities
from understudy.recipe import Recipe
from understudy.teachers.served import ServedScorer


def server_findings(recipe: Recipe, student: LoadedModel) -> list[Finding]:
    """Every server probed: its model, its limits, two equal scores of one text, its tokenizer.

    Args:
        student: its papers.
    """
    findings = []
    for name, section in served_models(recipe, with_teacher=True).items():
        try:
            link = linked(recipe, section, student, name=name)
        except UnderstudyError as error:
            findings.append(stop_for("server", error))
            continue
        findings.append(ok("server", f"the {name}'s {described(link.scorer)}"))
        advice = "Compare them by hand, or name the server's tokenizer."
        findings += [warn("server", doubt, advice) for doubt in link.notices]
        can = link.scorer.capabilities
        if link.words is not None:
            findings.append(alignment_finding(student, link.words, name=name))
            can = Capabilities(sampled=can.sampled, top_k=can.top_k)
        findings += _abilities(recipe, name, can)
    return findings


def described(scorer: ServedScorer) -> str:
    """What answers and what it gives, in one line."""
    identity, can = scorer.server.identity, scorer.capabilities
    gives = ["sampled tokens", *([f"top {can.top_k}"] if can.top_k else [])]
    gives += [f"{can.at_ids} chosen ids"] if can.at_ids else []
    gives += ["entropy"] if can.entropy else []
    gives += ["hidden states"] if can.hidden else []
    longest = scorer.server.max_length
    limit = "" if longest is None else f", texts of {longest:,} tokens"
    return f"server answers twice alike: {identity.kind}, model {identity.model}, gives {', '.join(gives)}{limit}"


def _abilities(recipe: Recipe, name: str, can: Capabilities) -> list[Finding]:
    needs = objective_of(recipe.objective.with_token_ids(lambda _: -1)).needs
    role = "reference" if name == "reference" else "teacher"
    missing = needs.missing_from(role, can)
    if not missing:
        return []
    return [
        stop(
            "abilities",
            f"method {recipe.objective.method!r} needs {' and '.join(missing)} from the {role}, which its server lacks",
            "Raise the server's --max-logprobs, use understudy serve, or choose a method such as opd.",
        )
    ]
