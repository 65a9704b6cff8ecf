"""Parts that start in a moment: a server that answers ``/health`` and a trainer that does as it is told."""

from __future__ import annotations

import sys
from pathlib import Path

from understudy.launching.part import Part
from understudy.launching.ports import free_ports

SERVER = """
import sys, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b'understudy_waiting_requests{kind="score"} 3.0\\n')
    def log_message(self, *_): pass
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """A command that runs ``code`` without loading anything."""
    return (sys.executable, "-S", "-c", code, *arguments)


def server(name: str = "teacher-0") -> Part:
    """A server on a free port."""
    port = free_ports([name])[name]
    return Part(name, "teacher", 0, python(SERVER, str(port)), url=f"http://127.0.0.1:{port}")


def trainer(code: str, *arguments: str | Path) -> Part:
    """A trainer; its code finds the arguments, and ``--resume`` where it goes on, in ``sys.argv[1:]``."""
    return Part("train", "trainer", 0, python(f"import sys, time, os\n{code}", *map(str, arguments)))
