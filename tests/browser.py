"""A real Chromium without a window, driven by its own protocol (CDP): for the tests of the lab page."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SECONDS = 120.0


def program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Tab:
    """One tab. `problems` is what the page logged as errors, exceptions and violations of its policy."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session = socket, session
        self._number = 0
        self.problems: list[str] = []

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        question = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            question["sessionId"] = self._session
        self._socket.send(json.dumps(question))
        while True:
            answer = json.loads(self._socket.recv(timeout=SECONDS))
            self._note(answer)
            if answer.get("id") == self._number and answer.get("sessionId", "") == self._session:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(event["params"]["exceptionDetails"])[:600])
            case "Log.entryAdded" if event["params"]["entry"]["source"] != "network":
                self.problems.append(event["params"]["entry"]["text"])

    def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What an expression of the page's is; a promise is awaited."""
        found = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def await_true(self, expression: str, seconds: float = SECONDS) -> float:
        """Wait until an expression is true: the moment, by this process's monotonic clock."""
        deadline = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < deadline, f"never true: {expression}\n{self.shown()}"
            time.sleep(0.02)
        return time.monotonic()

    def shown(self) -> str:
        """What the page shows, as far as a person would read it."""
        return str(self.value("document.body.innerText"))[:2000]

    def look(self, width: int, dark: bool = False, height: int = 900) -> None:
        """Have the page that wide, by day or by night."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def screenshot(self, path: Path, whole: bool = False) -> None:
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


class Browser:
    def __init__(self, url: str) -> None:
        self._url = url
        self._exits = contextlib.ExitStack()

    def tab(self) -> Tab:
        """A new tab, on a connection of its own."""
        socket = self._exits.enter_context(
            connect(self._url, max_size=None, open_timeout=SECONDS, close_timeout=1, ping_interval=None)
        )
        whole = Tab(socket, "")
        target = whole.ask("Target.createTarget", url="about:blank")["targetId"]
        return Tab(socket, whole.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def close(self) -> None:
        self._exits.close()


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    found = program()
    assert found is not None
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        words = [found, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        words += [
            f"--user-data-dir={folder}",
            "--no-first-run",
            "--disable-background-networking",
            "about:blank",
        ]
        running = subprocess.Popen(
            words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            made = Browser(_address(Path(folder) / "DevToolsActivePort", running))
            yield made
            made.close()
        finally:
            os.killpg(running.pid, signal.SIGKILL)  # the program may be a script that started the browser
            running.wait()


def _address(note: Path, running: subprocess.Popen[bytes]) -> str:
    """Where a browser that has started can be asked: it writes port and path into a file of its folder."""
    deadline = time.monotonic() + SECONDS
    while True:
        words = note.read_text(encoding="utf-8").split() if note.exists() else []
        if len(words) == 2:
            return f"ws://127.0.0.1:{words[0]}{words[1]}"
        assert running.poll() is None and time.monotonic() < deadline, "the browser did not start"
        time.sleep(0.02)
