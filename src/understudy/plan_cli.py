"""``understudy plan``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from understudy.completions import among, fields
from understudy.completions import recipes as recipe_names
from understudy.errors import UserMistakeError
from understudy.starting import starting

if TYPE_CHECKING:
    from understudy.scaling import Hardware, Plan
    from understudy.scaling.splitting import Split


def plan(
    recipe: Annotated[
        Path, typer.Argument(help="A YAML file, or a name of `understudy recipes`.", autocompletion=recipe_names)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value, one field each.", autocompletion=fields)
    ] = None,
    gpus: Annotated[int, typer.Option(help="How many devices there are.")] = 8,
    hardware: Annotated[
        str,
        typer.Option(
            help="h100, h200, a100, cpu (measured here), or a YAML file.",
            autocompletion=among("h100", "h200", "a100", "cpu"),
        ),
    ] = "h100",
    prompt_tokens: Annotated[float | None, typer.Option(help="Of a prompt, on average; else 256.")] = None,
    completion_tokens: Annotated[float | None, typer.Option(help="Of a rollout, on average; else the longest.")] = None,
    environment_seconds: Annotated[float, typer.Option(help="Of one turn of a world.")] = 0.0,
    staleness: Annotated[int | None, typer.Option(help="Steps; else as the recipe says, or 0.")] = None,
    grow: Annotated[bool, typer.Option("--grow", help="The sweep's batch grows with the devices.")] = False,
    student_config: Annotated[Path | None, typer.Option(help="Its config.json, where it is not here.")] = None,
    teacher_config: Annotated[Path | None, typer.Option(help="The teacher's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Estimate a recipe's cost on N devices, on paper.

    Time by phase, the best split, and where the bottleneck moves.
    """
    with starting():
        from understudy.recipe import load_recipe
        from understudy.scaling import ASSUMED_PROMPT_TOKENS, Model, models_of, plan_for, workload_of

    _check(
        gpus=gpus,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        environment_seconds=environment_seconds,
        staleness=staleness,
    )
    resolved = load_recipe(recipe, overrides or [])
    models = models_of(resolved, student_config=student_config, teacher_config=teacher_config)
    device = _device(hardware)
    work = workload_of(
        resolved,
        prompt_tokens=prompt_tokens or ASSUMED_PROMPT_TOKENS,
        completion_tokens=completion_tokens,
        environment_seconds=environment_seconds,
    )
    notes = [*models.notes, f"{device.name}: {device.source}."]
    if prompt_tokens is None:
        notes.append(f"A prompt has {ASSUMED_PROMPT_TOKENS} tokens (--prompt-tokens).")
    if completion_tokens is None:
        notes.append("Every completion is at its longest (--completion-tokens).")
    if resolved.environment.kind != "single_turn" and not environment_seconds:
        notes.append(f"The world {resolved.environment.kind} itself takes no time (--environment-seconds).")
    notes.append("Evaluations, checkpoints and failures are not counted.")
    made = plan_for(
        Model(models.student, models.teacher, work, device),
        gpus,
        steps=resolved.steps,
        staleness=resolved.rollout.overlap.max_staleness if staleness is None else staleness,
        grows=grow,
        notes=notes,
    )
    if as_json:
        print(json.dumps(made.to_json()), flush=True)
    else:
        _show(made, grow=grow)


_LARGEST = 1_000_000_000
"""Tokens, seconds or steps: above it the sums of a plan say nothing of any machine."""


def _check(**values: float | None) -> None:
    least = {"gpus": 1, "staleness": 0, "prompt_tokens": 1, "completion_tokens": 1, "environment_seconds": 0}
    for name, value in values.items():
        if value is not None and not least[name] <= value <= _LARGEST:
            expected = f"at least {least[name]}" + (f" and at most {_LARGEST:,}" if value > _LARGEST else "")
            option = "--" + name.replace("_", "-")
            raise UserMistakeError(f"{option} is out of range", got=value, expected=expected)
    if (values["gpus"] or 0) > 100_000:
        raise UserMistakeError("--gpus is out of range", got=values["gpus"], expected="at most 100,000")


def _device(text: str) -> Hardware:
    from understudy.scaling import PRESETS, hardware_from

    if text in PRESETS:
        return PRESETS[text]
    if text == "cpu":
        return _this_cpu()
    if not Path(text).suffix:
        raise UserMistakeError(
            "--hardware is not known", got=text, expected=", ".join([*PRESETS, "cpu"]) + " or a YAML file"
        )
    return hardware_from(Path(text))


def _this_cpu() -> Hardware:
    """One thread of this machine, its limits measured now; how much of them is reached was measured once."""
    from understudy.bench.speed.limits import measure
    from understudy.scaling import CPU_PACES, Hardware

    limits = measure(1, "cpu")
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    rate = limits.copy_gb_per_second * 1e9
    return Hardware(
        name="this CPU, one thread",
        bfloat16_flops=limits.bfloat16_gflops * 1e9,
        float32_flops=limits.float32_gflops * 1e9,
        memory_bytes=memory,
        memory_rate=rate,
        devices_per_machine=1,
        link_rate=rate,
        network_rate=1e9,
        source="rates measured now, shares of them fitted once (docs/design/scale.md), a network of 8 Gbit/s assumed",
        sampling=CPU_PACES["sampling"],
        scoring=CPU_PACES["scoring"],
        updating=CPU_PACES["updating"],
    )


def _show(made: Plan, *, grow: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    header = ("phase", "devices", "tokens", "FLOPs", "bytes", "seconds", "bound by", "tokens/s", "device-hours")
    rows = [
        (
            row.phase,
            str(row.devices),
            *(_scaled(value) for value in (row.tokens, row.flops, row.bytes)),
            f"{row.seconds:.3g}",
            row.bound,
            _scaled(row.tokens_a_second),
            f"{row.device_hours:.3g}",
        )
        for row in made.rows
        if row.seconds or row.flops
    ]
    console.print(_table(header, rows))
    console.print(
        f"\n{made.devices} x {made.hardware}, {_words(made.split)}, staleness {made.staleness}: {made.seconds:.3g} s a "
        f"step ({made.closed_form_seconds:.3g} s in closed form), {_scaled(made.tokens_a_second)} tokens/s, "
        f"{made.device_hours:.3g} device-hours for {made.steps} steps, {made.idle_share:.0%} of them idle\n"
        f"bottleneck: {made.bottleneck}\n"
    )
    console.print("batch grows with the devices:" if grow else "the same batch on more devices:")
    wide = ("devices", "split", "rollouts", "seconds", "tokens/s", "device-hours", "bottleneck")
    swept = [
        (
            str(row.devices),
            "-" if row.split is None else _words(row.split),
            f"{row.rollouts:,}",
            "-" if row.seconds is None else f"{row.seconds:.3g}",
            "-" if row.tokens_a_second is None else _scaled(row.tokens_a_second),
            "-" if row.device_hours is None else f"{row.device_hours:.3g}",
            row.bottleneck,
        )
        for row in made.sweep
    ]
    console.print(_table(wide, swept))
    console.print("\n" + "\n".join(f"- {note}" for note in made.notes))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, justify="left" if name in ("phase", "split", "bound by", "bottleneck") else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _words(split: Split) -> str:
    if split.together:
        return f"all {split.devices} for each phase in turn"
    parts = [f"{split.samplers} sample", *([f"{split.teachers} teach"] if split.teachers else [])]
    return ", ".join([*parts, f"{split.trainers} train"])


def _scaled(value: float) -> str:
    """A figure with its thousands in a letter.

    >>> _scaled(12_300_000.0)
    '12.3 M'
    """
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"
