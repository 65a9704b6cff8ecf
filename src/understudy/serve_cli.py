"""``understudy serve MODEL``. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import among, models
from understudy.errors import UserMistakeError
from understudy.starting import starting

if TYPE_CHECKING:
    from understudy.recipe import Engine


def serve(
    model: Annotated[str, typer.Argument(help="A folder, a hub name, or testbed/...", autocompletion=models)],
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one and prints it.")] = 8000,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A further name that requests may call it by; several times for several.")
    ] = None,
    served_model_name: Annotated[str | None, typer.Option(help="What clients call it; else MODEL.")] = None,
    max_logprobs: Annotated[int, typer.Option(help="Ids a row that a client may ask for; -1 for no bound.")] = 128,
    max_model_len: Annotated[int | None, typer.Option(help="Longest context; else the model's own.")] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help="Of the weights: float32, bfloat16 or float16.", autocompletion=among("float32", "bfloat16", "float16")
        ),
    ] = "float32",
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda.", autocompletion=among("auto", "cpu", "cuda"))
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds the key.")] = None,
    max_body_bytes: Annotated[int, typer.Option(help="Longest request.")] = 64 << 20,
    max_waiting: Annotated[int, typer.Option(help="Requests that may wait; the next is answered 503.")] = 1024,
    allow_updates: Annotated[
        bool, typer.Option("--allow-updates", help="Clients may change weights and adapters, and pause.")
    ] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Written with the address once the server answers.")] = None,
) -> None:
    """Serve a model over HTTP in vLLM's form.

    A teacher, or a student to sample from.
    """
    with starting():
        from understudy.build.models import model_named, set_process
        from understudy.servers.keys import key_in
        from understudy.serving import Settings
        from understudy.serving import serve as serve_model
        from understudy.serving.running import bound_socket

    settings = Settings(
        host=host,
        port=port,
        allowed_hosts=tuple(allowed_host or ()),
        name=served_model_name or model,
        max_logprobs=max_logprobs,
        max_model_len=max_model_len,
        api_key=key_in(api_key_env, remedy="Set it, or leave out --api-key-env to serve without one."),
        max_body_bytes=max_body_bytes,
        max_waiting=max_waiting,
        allow_updates=allow_updates,
        ready_file=ready_file,
        dtype=dtype,
    )
    engine = _engine(device=device, threads=threads)
    # The address before the model: a port in use is told at once, and not after minutes of loading.
    listening = bound_socket(settings)
    try:
        set_process(engine)
        serve_model(model_named(model, engine, dtype=dtype), settings, engine, listening)
    finally:
        listening.close()


def _engine(*, device: str, threads: int | None) -> Engine:
    from understudy.recipe import LocalEngine

    if device not in ("auto", "cpu", "cuda"):
        raise UserMistakeError("--device has no such device", got=device, expected="auto, cpu or cuda")
    return LocalEngine(device=device, threads=threads)  # type: ignore[arg-type]
