"""Puts a model through suites: a folder, an adapter, or whatever answers at an address; every sample kept."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from datasets.utils.logging import disable_progress_bar

from understudy.build import Building, exam_of, examinee_of, model_named, sampler_of, suite_named
from understudy.build.suites import version_of
from understudy.crosschecks import Agreement, cross_check
from understudy.engines.local import LocalScorer
from understudy.errors import UserMistakeError
from understudy.evaluation.benchmarks import askable
from understudy.evaluation.endpoint import Endpoint
from understudy.evaluation.exam import Exam
from understudy.evaluation.examination import Examinee, examine
from understudy.evaluation.groups import expanded
from understudy.evaluation.journal import journal_at, key_of
from understudy.evaluation.suites import SuiteResult, write_suite_result
from understudy.evaluation.wishes import Wishes
from understudy.home import home
from understudy.recipe import LocalEngine, Suite, load_suite
from understudy.servers.meeting import Met, meet
from understudy.tasks import data_fingerprint
from understudy.testbed import is_testbed
from understudy.training.progress import Display, Silent, display_on, shown


@dataclass(frozen=True)
class Address:
    """How a model behind an address is asked.

    Args:
        model: its served name; None takes what is there. key: sent as bearer token.
        timeout_seconds: for one answer. deadline_seconds: a question is asked again for so long.
        max_concurrency: questions at one time.
    """

    model: str | None = None
    key: str | None = None
    timeout_seconds: float = 600.0
    deadline_seconds: float = 300.0
    max_concurrency: int = 16

    def meet(self, url: str) -> Met:
        """Ask the server there who it is; raises ServerDownError where nobody answers."""
        return meet(
            url,
            model=self.model,
            key=self.key,
            timeout_seconds=self.timeout_seconds,
            deadline_seconds=self.deadline_seconds,
            max_concurrency=self.max_concurrency,
        )


def endpoint_of(met: Met) -> Endpoint:
    """Where the questions go."""
    return Endpoint(met.client, met.identity.model, max_length=met.identity.max_length)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """Who is examined, and the digest of whose answers these are."""

    name: str
    fingerprint: str
    examinee: Examinee | Endpoint


def evaluate(
    model: str | Path,
    suites: str | Sequence[str],
    *,
    num_samples: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    display: Display | None = None,
    data: str | Path | None = None,
    wishes: Wishes | None = None,
    address: Address | None = None,
    fresh: bool = False,
    keep: str | Path | None = None,
) -> list[SuiteResult]:
    """Put a model through suites.

    Samples are kept as they come: the same call goes on where a killed one stopped, and a question that was answered
    in full is not asked again.

    Args:
        model: a folder, a hub name, ``testbed/...``, or the address of an OpenAI-compatible server.
        suites: names (``regression`` is several), or YAML files with a suite's fields; one or several.
        num_samples, limit: in place of the suite's.
        out: folder for the results, every sample kept. data: file or folder with a benchmark's data.
        wishes: further changes to the suites. address: how a server is asked. fresh: ask everything anew.
        keep: folder of the samples; None takes the package's cache.
    Raises:
        UserMistakeError: model or suite cannot be used. ServerDownError: nobody answers.
    """
    disable_progress_bar()
    model, address, wishes = str(model), address or Address(), wishes or Wishes()
    out, data, keep = (None if place is None else Path(place) for place in (out, data, keep))
    wishes = replace(
        wishes,
        num_samples=wishes.num_samples if num_samples is None else num_samples,
        limit=wishes.limit if limit is None else limit,
    )
    names = [suites] if isinstance(suites, str) else suites
    refuse_settings_of_a_server(model, {"served name": address.model, "key": address.key})
    _refuse_no_folder(out)
    results = []
    with shown(display or display_on(sys.stderr)) as display:
        chosen = [wishes.applied(_suite(name, data)) for name in _members(names, display, data)]
        _refuse_unread(data, chosen)
        exams = [exam_of(suite) for suite in chosen]
        candidate = _candidate(model, address, display)
        for exam in exams:
            results.append(_examined(exam, candidate, seed=seed, display=display, fresh=fresh, keep=keep))
            if out is not None:
                write_suite_result(results[-1], out / f"{exam.suite.name}.json")
    return results


def cross_checked(
    url: str,
    suites: Sequence[str],
    results: Sequence[SuiteResult],
    *,
    harness: str,
    python: str | None = None,
    data: Path | None = None,
    wishes: Wishes | None = None,
    address: Address | None = None,
) -> list[Agreement]:
    """Put the same suites to the same server in another harness, and compare with the results of ``evaluate``.

    Args:
        harness: ``inspect-ai`` or ``lm-eval``. python: an interpreter that has it; None is this one. The others are
            those that ``evaluate`` was given.
    Raises:
        UserMistakeError: ``url`` is no address, no such harness, or a suite that it cannot judge.
    """
    refuse_no_server(url)
    address, found = address or Address(), []
    endpoint = _behind(url, address).examinee
    assert isinstance(endpoint, Endpoint)
    for name, result in zip(_members(suites, Silent(), data), results, strict=True):
        exam = exam_of((wishes or Wishes()).applied(_suite(name, data)))
        found.append(
            cross_check(
                exam,
                result,
                harness=harness,
                url=endpoint.client.url,
                model=endpoint.model,
                key=address.key,
                python=python,
                concurrency=address.max_concurrency,
            )
        )
    return found


def refuse_no_server(model: str) -> None:
    """Raises UserMistakeError where another harness could not ask this model."""
    if not _is_address(model):
        raise UserMistakeError(
            "another harness needs a server", got=model, remedy="Start understudy serve MODEL, and give its address."
        )


def _is_address(model: str) -> bool:
    return model.startswith(("http://", "https://"))


def refuse_settings_of_a_server(model: str, settings: Mapping[str, object]) -> None:
    """Raises UserMistakeError where a model of this machine is given what only a server has; None stands for nothing.

    Args:
        settings: what they are called, and what they are.
    """
    given = [name for name, value in settings.items() if value is not None]
    if given and not _is_address(model):
        raise UserMistakeError(
            f"a model of this machine has nothing of a server to set: {', '.join(given)}",
            got=model,
            expected="an address, such as http://localhost:8000",
            remedy="Leave it out, or give the server's address.",
        )


def _refuse_no_folder(out: Path | None) -> None:
    """Where the results go is known to be none before hours of questions, not after."""
    if out is not None and out.exists() and not out.is_dir():
        raise UserMistakeError(f"{out} is no folder", remedy="Choose another one with --out.")


def _refuse_unread(data: Path | None, suites: Sequence[Suite]) -> None:
    if data is not None and all(is_testbed(suite.dataset) for suite in suites):
        raise UserMistakeError(
            f"the suites of the testbed make their own data, and none reads {data}", remedy="Leave out --data."
        )


def _examined(
    exam: Exam, candidate: _Candidate, *, seed: int, display: Display, fresh: bool, keep: Path | None
) -> SuiteResult:
    about = _about(exam, candidate, seed=seed)
    if exam.suite.kind != "accuracy" or exam.environment is not None:
        display.phase(exam.suite.name, size=exam.num_attempts)
        return examine(exam, candidate.examinee, seed=seed, progress=display.advance)
    file = (keep or home() / "evaluations") / f"{exam.suite.name}-{key_of(about)}.jsonl"
    with journal_at(file, about, fresh=fresh) as journal:
        if journal.samples:
            known = f"{len(journal.samples)} of {exam.num_attempts} answers"
            display.notice(f"{exam.suite.name}: {known} are known from before; --fresh asks anew.")
        display.phase(exam.suite.name, size=exam.num_attempts)
        told = {**about, "model": candidate.name}
        return examine(exam, candidate.examinee, seed=seed, progress=display.advance, journal=journal, about=told)


def _about(exam: Exam, candidate: _Candidate, *, seed: int) -> dict[str, object]:
    """Everything that decides the answers, and nothing else."""
    suite = exam.suite
    settings = suite.model_dump(mode="json", exclude={"dataset"})
    return {
        "fingerprint": candidate.fingerprint,
        "suite": suite.name,
        "suite_version": version_of(suite),
        "data": suite.dataset if is_testbed(suite.dataset) else data_fingerprint(suite),
        "seed": seed,
        "settings": settings,
        "verifier_code": _code(suite.verifier.function),
        "understudy": version("understudy"),
    }


def _code(function: str | None) -> str | None:
    """A digest of the module that holds a user's verifier; None where there is none, or it is not a file."""
    try:
        spec = None if function is None else importlib.util.find_spec(function.partition(":")[0])
        origin = None if spec is None else spec.origin
        return None if origin is None else hashlib.sha256(Path(origin).read_bytes()).hexdigest()[:16]
    except (ImportError, OSError, ValueError):
        return None


def _candidate(model: str, address: Address, display: Display) -> _Candidate:
    if _is_address(model):
        return _behind(model, address)
    loaded = model_named(model, LocalEngine(), building=building_shown(display))
    sampler = sampler_of(loaded.model, loaded, LocalEngine())
    return _Candidate(model, loaded.fingerprint, examinee_of(loaded, sampler, scorer=LocalScorer(loaded)))


def _behind(url: str, address: Address) -> _Candidate:
    met = address.meet(url)
    fingerprint = f"{met.url} {met.identity.model} {met.identity.fingerprint}"
    return _Candidate(met.name, fingerprint, endpoint_of(met))


def _members(names: Sequence[str], display: Display, data: Path | None) -> Sequence[str]:
    """The suites these names stand for, groups taken apart; what a group lacks here is told."""
    found = expanded(names, known=askable(data))
    if found.absent:
        display.notice(f"Not asked, because there are no data of it here: {', '.join(found.absent)}.")
    return found.names


def _suite(name: str, data: Path | None) -> Suite:
    if not name.endswith((".yaml", ".yml")):
        return suite_named(name, data=data)
    suite = load_suite(name)
    return suite if data is None else suite.model_copy(update={"dataset": str(data), "config": None})


def building_shown(display: Display) -> Building:
    """Shows the making of testbed models as a phase."""
    shown: set[str] = set()

    def show(name: str, _: int, total: int) -> None:
        if name not in shown:
            shown.add(name)
            display.notice(f"Training {name} (first use; kept afterwards).")
            display.phase(f"make {name.removeprefix('testbed/')}", size=total)
        display.advance(1)

    return show
