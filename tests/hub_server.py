"""A model hub on this machine: the few endpoints of a push, over a real socket, and what was sent to them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What the hub knows.

    Args:
        url: of the hub. token: the only one it accepts. owner: the only one who may be written to.
        repositories: name -> whether it is private. files: repository -> path -> content of the newest commit.
        commits: their titles. objects: large files by SHA-256. requests: (method, path) in order.
    """

    token: str
    owner: str
    url: str = ""
    repositories: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at work within the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path.endswith("/preupload/main"):
            self._sort(json.loads(body)["files"])
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body)["objects"])
        elif self.path.endswith("/commit/main"):
            self._commit(self.path.removeprefix("/api/models/").removesuffix("/commit/main"), body)
        else:
            self._answer(404, {"error": "Not here"})

    def do_PUT(self) -> None:
        content = self._body()
        name = self.path.rsplit("/", 1)[1]
        matches = hashlib.sha256(content).hexdigest() == name
        if matches:
            self.hub.objects[name] = content
        self._answer(200 if matches else 400, {})

    def _create(self, asked: dict[str, Any]) -> None:
        owner, name = asked.get("organization"), asked["name"]
        if owner != self.hub.owner:
            self._answer(403, {"error": "You don't have the rights to create a model under this namespace"})
            return
        repo = f"{owner}/{name}"
        status = 409 if repo in self.hub.repositories else 200
        self.hub.repositories.setdefault(repo, asked.get("visibility") == "private" or bool(asked.get("private")))
        self._answer(status, {"url": f"{self.hub.url}/{repo}", "id": repo})

    def _sort(self, files: list[dict[str, Any]]) -> None:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in files
        ]
        self._answer(200, {"files": modes})

    def _batch(self, objects: list[dict[str, Any]]) -> None:
        actions = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {"upload": {"href": f"{self.hub.url}/objects/{one['oid']}", "header": {}}},
            }
            for one in objects
        ]
        self._answer(200, {"transfer": "basic", "objects": actions})

    def _commit(self, repo: str, body: bytes) -> None:
        files = {}
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        self.hub.files[repo] = files
        name = f"{self.hub.url}/{repo}/commit/{'0' * 40}"
        self._answer(200, {"success": True, "commitOid": "0" * 40, "commitUrl": name, "hookOutput": ""})

    def _body(self) -> bytes:
        self.hub.requests.append((self.command, self.path))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if "error" in content:
            self.send_header("X-Error-Message", content["error"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""
