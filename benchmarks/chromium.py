"""Chromium, driven through its DevTools protocol over a pipe: nothing is installed for it, and no port is opened."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--remote-debugging-pipe",
)
_INTO_PLACE = "import os, sys; a, b, *c = sys.argv[1:]; os.dup2(int(a), 3); os.dup2(int(b), 4); os.execv(c[0], c)"
"""The browser reads its commands from 3 and answers to 4, wherever its parent has the pipes."""
Scheme = Literal["light", "dark"]


class ChromiumError(RuntimeError):
    """The browser did not do what it was asked."""


@dataclass
class Browser:
    """One page of one browser; ``events`` are what it told since ``open``."""

    process: subprocess.Popen[bytes]
    into: int
    out: int
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    _number: int = 0
    _unread: bytes = b""

    def call(self, method: str, timeout: float = 60.0, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to one command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + timeout
        while True:
            told = self._message(until - time.monotonic())
            if told.get("id") == self._number:
                if "error" in told:
                    raise ChromiumError(f"{method}: {told['error'].get('message')}")
                return told.get("result", {})
            if "method" in told:
                self.events.append(told)

    def _message(self, timeout: float) -> dict[str, Any]:
        until = time.monotonic() + timeout
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self.out], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise ChromiumError("the browser does not answer")
            read = os.read(self.out, 1 << 20)
            if not read:
                raise ChromiumError("the browser ended")
            self._unread += read
        whole, _, self._unread = self._unread.partition(b"\0")
        return json.loads(whole)

    def look(self, *, width: int, height: int = 900, scheme: Scheme = "light") -> None:
        """Set the window and what the reader prefers; motion is never preferred."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.call(
            "Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()]
        )

    def open(self, address: str) -> None:
        """Go there and wait until the page and its scripts are loaded."""
        self.events.clear()
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=address)
        for _ in range(600):
            self.pause(0.05)
            if self.run("document.readyState === 'complete' && location.href !== 'about:blank'"):
                return
        raise ChromiumError(f"{address} is not loaded after half a minute")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise ChromiumError(str(told["exceptionDetails"].get("exception", {}).get("description")))
        return told["result"].get("value")

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """One key, down and up."""
        shared = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **shared, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def picture(self, *, clip: dict[str, float] | None = None) -> bytes:
        """What is seen, as PNG; ``clip`` is x, y, width and height in the page."""
        area = {} if clip is None else {"clip": {**clip, "scale": 1}, "captureBeyondViewport": True}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **area)["data"])

    def pause(self, seconds: float) -> None:
        """Let time pass, and take what the browser tells meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(ChromiumError):
                told = self._message(left)
                if "method" in told:
                    self.events.append(told)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser with one empty page; ends with the block.

    Raises:
        ChromiumError: none is installed, or it does not start.
    """
    if PROGRAM is None:
        raise ChromiumError("no chromium on this machine")
    with TemporaryDirectory(prefix="understudy-chromium-") as profile:
        theirs_in, into = os.pipe()
        out, theirs_out = os.pipe()
        # Out of the way of 3 and 4, which the browser reads from and writes to.
        high = [fcntl.fcntl(number, fcntl.F_DUPFD, 20) for number in (theirs_in, theirs_out)]
        command = [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-ISc", _INTO_PLACE, *map(str, high), *command],
            pass_fds=high,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in (theirs_in, theirs_out, *high):
            os.close(number)
        found = Browser(process, into, out)
        try:
            _begin(found)
            yield found
        finally:
            with contextlib.suppress(ChromiumError, OSError):
                found.session = ""
                found.call("Browser.close", timeout=5)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
            os.close(into)
            os.close(out)


def _begin(found: Browser) -> None:
    targets = found.call("Target.getTargets")["targetInfos"]
    page = next(target for target in targets if target["type"] == "page")
    found.session = found.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
        found.call(f"{domain}.enable")
    found.call("Emulation.setFocusEmulationEnabled", enabled=True)  # as if the window were in front


def save(picture: bytes, file: Path) -> None:
    """Write a PNG; folders are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(picture)
