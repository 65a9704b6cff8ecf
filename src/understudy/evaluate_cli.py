"""``understudy evaluate MODEL --suite NAME``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import among, models, suites
from understudy.errors import UserMistakeError
from understudy.servers.keys import key_in
from understudy.starting import starting
from understudy.terminal import print_table

if TYPE_CHECKING:
    from understudy.crosschecks import Agreement
    from understudy.evaluation.suites import SuiteResult


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A folder (a model or an adapter), a hub name, testbed/..., or http://...", autocompletion=models
        ),
    ] = None,
    suite: Annotated[
        list[str] | None, typer.Option(help="A name of --list, or a YAML file.", autocompletion=suites)
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show the named suites, and stop.")] = False,
    data: Annotated[Path | None, typer.Option(help="The suite's data: a file, or a folder that holds it.")] = None,
    num_samples: Annotated[int | None, typer.Option(min=1, help="Attempts at each problem.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many problems.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy; else the suite's.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus mass; else the suite's.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer; else the suite's.")] = None,
    chat: Annotated[bool | None, typer.Option("--chat/--no-chat", help="Ask in chat form, or in plain text.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the samples.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the results, every sample kept.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask everything anew, whatever is known.")] = False,
    served_model: Annotated[str | None, typer.Option("--model", help="Of a server: its served name.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds a server's key.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Of a server: questions at one time; else 16.")] = None,
    timeout_seconds: Annotated[float | None, typer.Option(min=1, help="Of a server: for one answer; else 600.")] = None,
    deadline_seconds: Annotated[
        float | None, typer.Option(min=0, help="Of a server: a question is asked again for so long; else 300.")
    ] = None,
    cross_check: Annotated[
        str | None,
        typer.Option(
            help="Of a server: ask again in inspect-ai or lm-eval, and compare.",
            autocompletion=among("inspect-ai", "lm-eval"),
        ),
    ] = None,
    cross_check_python: Annotated[str | None, typer.Option(help="A Python that has that harness.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Measure a model on suites, with intervals.

    The same command goes on where it was stopped.
    """
    if show_list:
        _show_suites(as_json=as_json)
        return
    if model is None or not suite:
        raise UserMistakeError(
            "nothing to evaluate",
            expected="understudy evaluate MODEL --suite NAME",
            remedy="understudy evaluate --list shows the suites.",
        )
    if cross_check_python is not None and cross_check is None:
        raise UserMistakeError("--cross-check-python runs no harness by itself", expected="--cross-check NAME")
    with starting():
        from understudy.evaluating import Address, cross_checked, refuse_no_server, refuse_settings_of_a_server
        from understudy.evaluating import evaluate as evaluated
        from understudy.evaluation.wishes import Wishes

    named = {"--model": served_model, "--api-key-env": api_key_env, "--concurrency": concurrency}
    times = {"--timeout-seconds": timeout_seconds, "--deadline-seconds": deadline_seconds}
    refuse_settings_of_a_server(model, {**named, **times})
    if cross_check is not None:
        refuse_no_server(model)
    wishes = Wishes(
        num_samples=num_samples,
        limit=limit,
        temperature=temperature,
        top_p=top_p,
        max_completion_length=max_tokens,
        chat=chat,
    )
    address = Address(
        model=served_model,
        key=key_in(api_key_env),
        timeout_seconds=timeout_seconds or Address.timeout_seconds,
        deadline_seconds=Address.deadline_seconds if deadline_seconds is None else deadline_seconds,
        max_concurrency=concurrency or Address.max_concurrency,
    )
    results = evaluated(model, suite, seed=seed, out=out, data=data, wishes=wishes, address=address, fresh=fresh)
    checked: list[Agreement] = []
    if cross_check is not None:
        checked = cross_checked(
            model,
            suite,
            results,
            harness=cross_check,
            python=cross_check_python,
            data=data,
            wishes=wishes,
            address=address,
        )
    _show(results, checked, as_json=as_json)


def _show(results: Sequence[SuiteResult], checked: Sequence[Agreement], *, as_json: bool) -> None:
    if as_json:
        figures = [{k: v for k, v in result.to_json().items() if k != "samples"} for result in results]
        for one, check in zip(figures, checked, strict=False):
            one["cross_check"] = check.to_json()
        print(json.dumps(figures))
        return
    print_table([["suite", "score", "problems", "samples", "truncated", "unread", "failed"], *map(_row, results)])
    for result in results:
        _print_more(result)
    for check in checked:
        print(_agreement_line(check))


def _row(result: SuiteResult) -> list[str]:
    estimate, unread = result.estimate, result.parse_failure_rate
    return [
        result.name,
        f"{estimate.mean:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]",
        str(estimate.n),
        str(len(result.samples)),
        f"{100 * result.truncation_rate:.1f} %",
        "" if unread is None else f"{100 * unread:.1f} %",
        str(len(result.failed)),
    ]


def _print_more(result: SuiteResult) -> None:
    """What several attempts, further counts and lost questions say of one suite."""
    parts = []
    if result.run_to_run_error is not None:
        parts.append(f"another run on these problems differs by about {result.run_to_run_error:.4f} (standard error)")
    parts += [f"pass@{k} {one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]" for k, one in result.pass_at.items() if k > 1]
    votes = result.majority
    if votes is not None:
        one = votes.estimate
        tied = f", {votes.num_tied} tied" if votes.num_tied else ""
        parts.append(f"majority@{result.k} {one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]{tied}")
    parts += [f"{name.replace('_', ' ')} {count} of {of}" for name, (count, of) in result.shares.items()]
    if parts:
        print(f"{result.name}: {'; '.join(parts)}")
    for problem, reason in list(result.failed.items())[:5]:
        print(f"{result.name}: problem {problem} never got an answer and counts as wrong: {reason}", file=sys.stderr)
    if len(result.failed) > 5:
        print(f"{result.name}: and {len(result.failed) - 5} more problems", file=sys.stderr)


def _agreement_line(check: Agreement) -> str:
    theirs, gap = check.theirs, check.difference
    texts = "" if check.num_texts_apart is None else f", {check.num_texts_apart} with another completion"
    return (
        f"{check.suite}: {check.harness} {check.version} has {theirs.mean:.4f} [{theirs.low:.4f}, {theirs.high:.4f}], "
        f"ours less theirs {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}], {check.num_apart} of {gap.n} problems "
        f"scored differently{texts}: they {'agree' if check.agrees else 'DO NOT agree'} within sampling error"
    )


def _show_suites(*, as_json: bool) -> None:
    from understudy.evaluation.benchmarks import benchmarks
    from understudy.evaluation.groups import GROUPS

    listed = list(benchmarks().values())
    if as_json:
        print(json.dumps([{"name": one.name, **one.model_dump(mode="json")} for one in listed]))
        return
    rows = [["suite", "version", "attempts", "temperature", "data", "what it is"]]
    for one in listed:
        suite = one.suite
        source = suite.dataset if suite.config in (None, "*") else f"{suite.dataset} ({suite.config})"
        rows.append([one.name, str(one.version), str(suite.num_samples), f"{suite.temperature:g}", source, one.title])
    print_table(rows)
    for name, members in GROUPS.items():
        print(f"{name} is {', '.join(member for member in members if member in benchmarks())}")
