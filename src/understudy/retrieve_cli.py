"""``understudy retrieve CORPUS``. Heavy imports happen inside the command."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer


def retrieve(
    corpus: Annotated[Path, typer.Argument(help="JSON lines of id and contents, or a .json file in SQuAD's form.")],
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one and prints it.")] = 8001,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A further name that requests may call it by; several times for several.")
    ] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written with the address once the server answers.")] = None,
) -> None:
    """Serve documents over HTTP in Search-R1's form.

    POST /retrieve, for environments of kind search_qa.
    """
    from understudy.build.retrievers import corpus_retriever
    from understudy.serving import Settings
    from understudy.serving.running import address_of, bound_socket
    from understudy.tasks.retrieval.app import app_of
    from understudy.tasks.retrieval.running import RetrievalServer
    from understudy.written_whole import write_whole

    settings = Settings(host=host, port=port, allowed_hosts=tuple(allowed_host or ()))
    listening = bound_socket(settings)
    try:
        retriever = corpus_retriever(corpus)
        print(f"{retriever.num_documents:,} documents of {corpus} at {address_of(listening)}", flush=True)
        if ready_file is not None:
            # The socket listens: who asks now is answered.
            write_whole(ready_file, address_of(listening) + "\n", remedy="Name another --ready-file.")
        RetrievalServer(app_of(retriever), listening, names=settings.names).serve_until_stopped()
    finally:
        listening.close()
        if ready_file is not None:
            with suppress(OSError):
                ready_file.unlink()
