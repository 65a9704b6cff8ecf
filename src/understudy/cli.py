"""The command line: ``understudy demo | train | evaluate | compare | doctor | serve | score | report | push | ...``.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.bench_cli import bench
from understudy.compare_cli import compare
from understudy.completions import fields, run_folders
from understudy.completions import recipes as recipe_names
from understudy.doctor_cli import doctor
from understudy.errors import UnderstudyError
from understudy.evaluate_cli import evaluate
from understudy.fields_cli import fields as recipe_fields
from understudy.launch_cli import launch
from understudy.methods_cli import methods
from understudy.office_cli import office
from understudy.plan_cli import plan
from understudy.recipes_cli import recipes
from understudy.retrieve_cli import retrieve
from understudy.sample_cli import sample
from understudy.score_cli import score
from understudy.serve_cli import serve
from understudy.shop_cli import shop_goals
from understudy.starting import starting
from understudy.study_cli import office_study
from understudy.terminal import print_table
from understudy.torchrun.telling import tell
from understudy.watch_cli import watch

if TYPE_CHECKING:
    from understudy.recipe import Recipe

app = typer.Typer(
    name="understudy",
    help="On-policy distillation for language models. Begin with: understudy demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"understudy {metadata.version('understudy')}")
        raise typer.Exit


@app.callback()
def _settings(
    context: typer.Context,
    show_traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version, and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = {"traceback": show_traceback}


def train(
    recipe: Annotated[
        Path, typer.Argument(help="A YAML file, or a name of `understudy recipes`.", autocompletion=recipe_names)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="key.sub=value, without dashes: steps=50 objective=gkd", autocompletion=fields),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint; by steps=N to more steps.")
    ] = False,
    print_recipe: Annotated[bool, typer.Option("--print-recipe", help="Print every field, and stop.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan without training, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train a student as a recipe says."""
    with starting():
        from understudy.recipe import load_recipe, to_yaml

        resolved = load_recipe(recipe, overrides or [])
    if print_recipe:
        _print(resolved.model_dump_json() if as_json else to_yaml(resolved).rstrip())
        return
    if dry_run:
        _show_preview(resolved, as_json=as_json)
        return
    with starting():
        from understudy import api

    run = api.train(resolved, resume=resume)
    if not run.is_first:  # another rank tells
        raise typer.Exit(run.outcome.exit_status)
    if run.summary is None:
        _print(f"{run.path} is kept.", error=True)  # how far it came was told when it ended
        raise typer.Exit(run.outcome.exit_status)
    if as_json:
        _print(json.dumps(run.summary))
        return
    from understudy.demo import suite_rows

    print_table(suite_rows(run.summary["suites"]))
    _print(f"{run.path}/summary.json holds the figures, report.html shows them; {run.weights} is the model.")


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the demo's run.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Build a tiny teacher and student, distil, evaluate.

    It takes minutes on two cores, and downloads nothing.
    """
    with starting():
        from understudy.demo import run_demo, table_rows
    from understudy.training.progress import display_on, shown

    with shown(display_on(sys.stderr)) as display:
        done = run_demo(out, display=display)
    if done.run.outcome.signal is not None:
        _print(f"Stopped; what was done is in {done.path}.", error=True)
        raise typer.Exit(done.run.outcome.exit_status)
    if as_json:
        _print(json.dumps(done.summary))
        return
    print_table(table_rows(done.summary))
    _print(f"{done.path}/summary.json holds the figures, report.html shows them.")


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.", autocompletion=run_folders)],
    out: Annotated[Path | None, typer.Option(help="The file; else report.html in the folder.")] = None,
) -> None:
    """Write a run's page, one HTML file.

    It has curves, tables, and rollouts token by token.
    """
    # Not through the api, which loads every engine: this needs no model.
    from understudy.reports import write_report

    _print(str(write_report(run, out=out)))


def push(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.", autocompletion=run_folders)],
    repo: Annotated[str, typer.Option(help="OWNER/NAME on the hub, made where there is none.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository is not public.")] = False,
    checkpoint: Annotated[int | None, typer.Option(min=0, help="Its step; else the newest.")] = None,
) -> None:
    """Push a run's weights to the model hub.

    Their card, the recipe and the summary go with them; HF_TOKEN or a login says who you are.
    """
    from understudy.publishing import push as pushed

    done = pushed(run, repo, private=private, step=checkpoint)
    _print(f"The weights of step {done.step} are at {done.url}")


# In the order in which somebody meets them: a first look, a run, what it came to, and more than one machine.
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(demo, train, doctor, sample, evaluate, compare, report, watch, methods, recipes, plan),
    *(serve, launch, score, push, office_study, retrieve, shop_goals),
)
for _command in _COMMANDS:
    app.command()(_command)
app.command("fields")(recipe_fields)
app.add_typer(bench, name="bench")
app.add_typer(office, name="office")


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    # Taken out, so that it may stand anywhere; the option of the same name is there for --help.
    show_traceback = "--traceback" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app(arguments, prog_name="understudy")
    except UnderstudyError as error:
        if show_traceback:
            _print_traceback()
        tell(error, partial(_print, error=True))
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.__context__ is not None and isinstance(ended.__context__.__cause__, KeyboardInterrupt):
            _print("understudy: interrupted", error=True)  # typer ends without a word
        raise
    except OSError as error:  # a disk or a permission, of a place that nobody has looked at beforehand
        if show_traceback:
            _print_traceback()
        where = "" if error.filename is None else f"{error.filename}: "
        _print(f"understudy: {where}{error.strerror or error}. --traceback shows what was being done.", error=True)
        sys.exit(1)
    except Exception:  # a fault of this program; what it quotes may hold keys
        _print_traceback()
        sys.exit(1)


def _print_traceback() -> None:
    _print(traceback.format_exc().rstrip(), error=True)


def _show_preview(recipe: Recipe, *, as_json: bool) -> None:
    from understudy.preview import preview

    plan = preview(recipe)
    if as_json:
        _print(json.dumps(plan.to_json()))
    else:
        print_table(plan.rows(), heading=False)


def _print(text: str, *, error: bool = False) -> None:
    from understudy.reports.secrets import without_secrets  # an error may quote data, file names, or a template
    from understudy.training.plain_text import printable

    print(printable(without_secrets(text)) if error else text, file=sys.stderr if error else sys.stdout, flush=True)
