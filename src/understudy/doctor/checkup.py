"""All checks in their order: first what can be read, then what must be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from understudy.build import Assembly, assemble, exam_of, suites_of
from understudy.build.aligned import is_aligned
from understudy.build.lessons import Lessons, lessons_of
from understudy.build.worlds import world_of
from understudy.doctor.advice import Advice, advice_for
from understudy.doctor.alignment import alignment_finding
from understudy.doctor.batch import batch_finding
from understudy.doctor.contamination import contamination_finding, overlap_of
from understudy.doctor.continuing import continued_by_teacher
from understudy.doctor.failures import Continued, drift_finding, imbalance_finding, special_finding
from understudy.doctor.findings import Finding, ok, stop_for, warn
from understudy.doctor.measures import Measures, measures_of
from understudy.doctor.memory import memory_finding
from understudy.doctor.pairing import context_findings, generation_finding, pair_findings
from understudy.doctor.probe import Probe, probe_of
from understudy.doctor.room import disk_finding, kept_bytes
from understudy.doctor.servers import server_findings
from understudy.doctor.templates import template_finding
from understudy.errors import (
    CapabilityError,
    ContextLengthError,
    DataError,
    ModelError,
    ServerError,
    ServerKeyError,
    TokenizerMismatchError,
    UnderstudyError,
    WrongServerError,
)
from understudy.models.chat import encode_prompt
from understudy.models.load import LoadedModel
from understudy.models.papers import load_papers
from understudy.preview import preview
from understudy.protocols import Scorer, Task
from understudy.recipe import Recipe
from understudy.testbed import is_testbed, resolve_model

DEFAULT_PROBLEMS = 32
_LENGTHS_TRIED = 256

Say = Callable[[str], None]
"""Told which part begins."""


@dataclass(frozen=True)
class Diagnosis:
    """The doctor's page.

    Args:
        findings: in the order of the checks. measures: of the probe; None where nothing could be tried.
        continued: the teacher going on with the student's answers. advice: None without measures.
    """

    findings: Sequence[Finding]
    measures: Measures | None = None
    continued: Sequence[Continued] = ()
    advice: Advice | None = None

    @property
    def stops(self) -> list[Finding]:
        """Those that forbid a run."""
        return [finding for finding in self.findings if finding.verdict == "stop"]

    def to_json(self) -> dict[str, object]:
        """``findings``, ``measures``, ``continued``, ``recommendation``."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "measures": None if self.measures is None else self.measures.to_json(),
            "continued": [_continued_json(one) for one in self.continued],
            "recommendation": None if self.advice is None else {"method": self.advice.method, "why": self.advice.why},
        }


def _continued_json(one: Continued) -> dict[str, object]:
    lost = None if one.lost is None else one.lost.to_json()
    return {"share": one.share, "success": one.success.to_json(), "lost": lost}


@dataclass(frozen=True)
class _Papers:
    """What can be read of a run without its weights."""

    student: LoadedModel
    teachers: Mapping[str, LoadedModel] = field(default_factory=dict)


def quick_findings(recipe: Recipe, lessons: Lessons | None = None) -> list[Finding]:
    """What tokenizers, settings and disk say; seconds, no weights. ``train`` runs these and heeds every ``stop``.

    Args:
        lessons: the recipe's training data where it has been read already.
    Raises:
        UserMistakeError: a model or the data cannot be read at all.
    """
    return _readable(recipe, _papers(recipe), lessons or lessons_of(recipe))


def diagnose(
    recipe: Recipe, *, num_problems: int = DEFAULT_PROBLEMS, fast: bool = False, say: Say = lambda _: None
) -> Diagnosis:
    """Every check of a recipe; nothing is written, and the student learns nothing.

    Args:
        num_problems: answered by the student for the measured part. fast: only what can be read.
    """
    say("reading tokenizers, settings and data")
    try:
        papers, lessons = _papers(recipe), lessons_of(recipe)
        findings = _readable(recipe, papers, lessons)
        longest = _longest_prompt(recipe, papers.student, lessons.tasks)
        findings.append(memory_finding(recipe, papers.student, papers.teachers, longest_prompt=longest))
        findings += server_findings(recipe, papers.student)
        findings += [] if fast else _contamination(recipe, lessons)
    except UnderstudyError as error:
        return Diagnosis([stop_for(_check_of(error), error)])
    if fast or any(finding.verdict == "stop" for finding in findings):
        return Diagnosis(findings)
    say("loading the models")
    try:
        assembly = assemble(recipe)
    except UnderstudyError as error:
        return Diagnosis([*findings, stop_for(_check_of(error), error)])
    findings.append(_abilities(assembly))
    findings += [warn("teacher", notice, "") for notice in assembly.notices if "exactly zero" in notice]
    teacher = assembly.parts.scorers.get("teacher")
    if teacher is None:
        return Diagnosis(findings)
    return _tried(recipe, assembly, teacher, findings, num_problems=num_problems, say=say)


def _tried(
    recipe: Recipe, assembly: Assembly, teacher: Scorer, findings: list[Finding], *, num_problems: int, say: Say
) -> Diagnosis:
    """What only a probe can tell."""
    environment = world_of(recipe.environment) or assembly.lessons.environment()
    say(f"the student answers {num_problems} problems")
    probe = probe_of(recipe, assembly, teacher=teacher, environment=environment, num_problems=num_problems)
    if not probe.table.num_tokens:
        return Diagnosis([*findings, warn("answers", "the student answers nothing", "Look at its prompts.")])
    say("the teacher goes on with the student's answers")
    continued = continued_by_teacher(recipe, assembly, probe, environment=environment)
    measures = measures_of(probe)
    findings = [
        *findings,
        length_finding(measures, probe),
        imbalance_finding(measures),
        drift_finding(measures, continued),
        special_finding(measures),
    ]
    is_self = any(one.is_self for one in recipe.teachers.values())
    advice = advice_for(measures, findings, capabilities=teacher.capabilities, is_self=is_self)
    return Diagnosis(findings, measures, continued, advice)


def length_finding(measures: Measures, probe: Probe) -> Finding:
    """Answers that are cut teach the student never to end."""
    what = f"answers have {measures.length:.0f} tokens on average, {100 * measures.truncated:.0f} % are cut"
    if measures.truncated > 0.5:
        return warn("length", f"{what} at {probe.limit}", "Raise rollout.max_completion_length.")
    return ok("length", what)


def _readable(recipe: Recipe, papers: _Papers, lessons: Lessons) -> list[Finding]:
    student, rollout = papers.student, recipe.rollout
    findings = [generation_finding(student, temperature=rollout.temperature, top_p=rollout.top_p, top_k=rollout.top_k)]
    longest = _longest_prompt(recipe, student, lessons.tasks)
    for name, teacher in papers.teachers.items():
        if is_aligned(recipe.teachers[name], student, teacher):
            findings.append(alignment_finding(student, teacher, name=name))
            continue
        findings += pair_findings(student, teacher, name=name)
        findings.append(
            template_finding(
                student,
                teacher,
                lessons.tasks,
                chat_template_kwargs=recipe.student.chat_template_kwargs,
                name=name,
            )
        )
        findings += context_findings(
            student, teacher, longest_prompt=longest, completion=rollout.max_completion_length, name=name
        )
    batch = batch_finding(prompts_per_step=rollout.prompts_per_step, num_problems=len(lessons.tasks))
    return [*findings, batch, _disk(recipe, student)]


def _longest_prompt(recipe: Recipe, student: LoadedModel, tasks: Sequence[Task]) -> int:
    """Tokens of the longest prompt among those that look longest."""
    longest = sorted(tasks, key=lambda task: len(str(task.prompt)), reverse=True)[:_LENGTHS_TRIED]
    return max(
        encode_prompt(
            student.known_tokenizer, task.prompt, chat_template_kwargs=recipe.student.chat_template_kwargs
        ).numel()
        for task in longest
    )


def _disk(recipe: Recipe, student: LoadedModel) -> Finding:
    parameters = sum(p.numel() for p in student.model.parameters())
    planned = preview(recipe).memory_bytes
    trained = planned.get("student gradients", 4 * parameters) // 4
    return disk_finding(
        recipe.run_directory, needed=kept_bytes(recipe, trained_parameters=trained, parameters=parameters)
    )


def _contamination(recipe: Recipe, lessons: Lessons) -> list[Finding]:
    return [
        contamination_finding(overlap_of(suite.name, exam_of(suite, recipe).tasks, lessons.tasks))
        for suite in suites_of(recipe)
    ]


def _abilities(assembly: Assembly) -> Finding:
    needs = assembly.parts.objective.needs.describe()
    return ok("abilities", f"the method's needs are met: {', '.join(needs) or 'none'}")


def _papers(recipe: Recipe) -> _Papers:
    section = recipe.student
    student = load_papers(
        _folder(section.model), trust_remote_code=section.trust_remote_code, tokenizer=section.tokenizer
    )
    teachers = {
        name: load_papers(_folder(one.model), trust_remote_code=one.trust_remote_code)
        for name, one in recipe.teachers.items()
        if not one.is_self
    }
    return _Papers(student, teachers)


def _folder(name: str) -> str:
    return str(resolve_model(name)) if is_testbed(name) else name


def _check_of(error: UnderstudyError) -> str:
    """The check that an error of the assembly belongs to."""
    names: list[tuple[type[UnderstudyError], str]] = [
        (ServerError, "server"),
        (ServerKeyError, "server"),
        (WrongServerError, "server"),
        (CapabilityError, "abilities"),
        (TokenizerMismatchError, "tokenizer"),
        (ContextLengthError, "context"),
        (ModelError, "models"),
        (DataError, "data"),
    ]
    return next((name for kind, name in names if isinstance(error, kind)), "recipe")
