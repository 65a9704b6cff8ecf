"""A server of the OpenAI form over a real socket, whose replies are written down beforehand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = dict[str, Any] | int | str
"""A message, a status to answer with, or a body as it is."""


@dataclass
class Scripted:
    """What it says, and what it was asked.

    Args:
        replies: by the number of assistant's messages in the question; the last one for all beyond.
    """

    replies: Sequence[Reply]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> Reply:
        self.bodies.append(body)
        number = sum(message["role"] == "assistant" for message in body["messages"])
        return self.replies[min(number, len(self.replies) - 1)]


def calls(*pairs: tuple[str, object], content: str | None = None) -> dict[str, Any]:
    """A message with calls; arguments are given as JSON text, or as they are where they are text."""
    listed = [
        {
            "id": f"c{number}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for number, (name, given) in enumerate(pairs)
    ]
    return {"role": "assistant", "content": content, "tool_calls": listed}


@contextmanager
def scripted_server(replies: Sequence[Reply]) -> Iterator[Scripted]:
    """The server, on a free port, until the block ends."""
    scripted = Scripted(replies)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            models = {"object": "list", "data": [{"id": "clerk", "object": "model", "max_model_len": 8000}]}
            self._send(200, json.dumps(models)) if self.path == "/v1/models" else self._send(404, "{}")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scripted.keys.append(self.headers.get("Authorization"))
            reply = scripted.answer(body)
            if isinstance(reply, dict):
                usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
                choice = {"index": 0, "message": reply, "finish_reason": "stop"}
                self._send(200, json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}))
            elif isinstance(reply, int):
                self._send(reply, json.dumps({"error": {"message": "no", "code": reply}}))
            else:
                self._send(200, reply)

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
