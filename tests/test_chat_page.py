"""The chat of lab 13 in a real browser, through nginx: two people, and a page of another site.

The browser is Debian's chromium (`apt-get install chromium-headless-shell`), told what to do over its
DevTools protocol: JSON messages on a WebSocket. Where there is none, the tests are skipped, and say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

from workshop.judge.checks import Wire, wire_cases
from workshop.judge.stack import embedded
from workshop.labs import find

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE = 20.0  # seconds
LAB = find("websockets")


class Tab:
    """One tab of the browser. `run` evaluates JavaScript in its page."""

    def __init__(self, devtools: str, url: str) -> None:
        found = json.loads(connect_and_ask(devtools, "Target.createTarget", {"url": url}))
        self.id = found["result"]["targetId"]
        address = devtools.partition("/devtools/")[0] + f"/devtools/page/{self.id}"
        self.open = contextlib.ExitStack()
        self.socket = self.open.enter_context(connect(address, open_timeout=PATIENCE))
        self.asked = 0

    def ask(self, method: str, **params: Any) -> Any:
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "method": method, "params": params}))
        while True:
            reply = json.loads(self.socket.recv(timeout=PATIENCE))
            if reply.get("id") == self.asked:
                return reply.get("result", reply)

    def run(self, script: str) -> Any:
        reply = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def becomes(self, script: str, wanted: Any) -> None:
        end = time.monotonic() + PATIENCE
        while (seen := self.run(script)) != wanted:
            assert time.monotonic() < end, f"{script} is {seen!r}, not {wanted!r}"
            time.sleep(0.05)

    def log(self) -> list[str]:
        lines: list[str] = self.run("[...document.querySelectorAll('#log li')].map(line => line.textContent)")
        return lines

    def hears(self, line: str) -> None:
        end = time.monotonic() + PATIENCE
        while line not in self.log():
            assert time.monotonic() < end, f"{line!r} is not in {self.log()}"
            time.sleep(0.05)

    def join(self, name: str, room: str = "tea") -> None:
        self.becomes("typeof at", "function")
        self.run(f"at('name').value = {json.dumps(name)}; at('room').value = {json.dumps(room)}")
        self.run("at('join').click()")

    def say(self, text: str) -> None:
        self.run(f"at('text').value = {json.dumps(text)}; at('send').click()")

    def close(self) -> None:
        self.ask("Page.close")
        self.open.close()


def connect_and_ask(devtools: str, method: str, params: dict[str, Any]) -> str:
    with connect(devtools, open_timeout=PATIENCE) as browser:
        browser.send(json.dumps({"id": 1, "method": method, "params": params}))
        reply = str(browser.recv(timeout=PATIENCE))
        while json.loads(reply).get("id") != 1:
            reply = str(browser.recv(timeout=PATIENCE))
        return reply


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A browser of its own; the address of its DevTools."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("NO BROWSER: the chat page was not tried. `apt-get install chromium-headless-shell`")
    folder = tmp_path_factory.mktemp("browser")
    words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    log = folder / "log"
    with log.open("w") as out:
        words += [f"--user-data-dir={folder}", "about:blank"]
        # In a session of its own: Debian's command is a shell that waits for the browser.
        running = subprocess.Popen(words, stderr=out, start_new_session=True)
    try:
        yield devtools_of(running, log)
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(timeout=PATIENCE)


def devtools_of(running: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while True:
        said = re.search(r"DevTools listening on (ws://\S+)", log.read_text(encoding="utf-8"))
        if said:
            return said[1]
        assert running.poll() is None and time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The solution behind nginx."""
    with embedded(LAB, "solution") as stack:
        if stack.front is None:
            pytest.skip("there is no nginx on this machine")
        stack.await_front()
        assert stack.ask("start", service="uvicorn")["state"] == "ready"
        yield stack.front.url


@pytest.mark.whole("pages in a browser")
def test_two_people_chat_in_a_browser(browser: str, address: str) -> None:
    ada, grace = Tab(browser, address), Tab(browser, address)
    ada.join("Ada")
    ada.hears("you are in tea")
    grace.join("Grace")
    ada.hears("Grace joined")
    for tab in (ada, grace):
        tab.becomes("at('members').textContent", "Ada, Grace")
    ada.say("<b>hello</b>, 東京")
    for tab in (ada, grace):
        tab.hears("Ada: <b>hello</b>, 東京")
        assert tab.run("document.querySelectorAll('#log b').length") == 0
    grace.run("at('leave').click()")
    ada.hears("Grace left (1000)")
    grace.becomes("at('state').textContent", "closed")
    grace.join("Grace")
    ada.becomes("at('members').textContent", "Ada, Grace")
    grace.close()
    ada.hears("Grace left (1001)")
    ada.close()


@pytest.mark.whole("pages in a browser")
def test_browser_is_told_a_close_code_and_not_a_refusal(browser: str, address: str) -> None:
    ada, again, nobody = (Tab(browser, address) for _ in range(3))
    ada.join("Ada", "late")
    ada.hears("you are in late")
    again.join("Ada", "late")
    again.hears("closed: 4009 the name is taken")
    nobody.join(" ", "late")
    nobody.hears("closed: 1006 ")
    for tab in (ada, again, nobody):
        tab.close()


@pytest.mark.whole("pages in a browser")
def test_page_of_another_site_gets_no_websocket(browser: str, address: str) -> None:
    """The browser lets the page try; the application refuses it."""
    url = address.replace("http:", "ws:") + "/rooms/tea?name=Eve"
    script = (
        "new Promise(done => {"
        f" const socket = new WebSocket({json.dumps(url)});"
        " socket.onopen = () => done('open'); socket.onclose = close => done(close.code); })"
    )
    stranger, ours = Tab(browser, "data:text/html,elsewhere"), Tab(browser, address)
    stranger.becomes("document.body?.textContent", "elsewhere")
    ours.becomes("typeof at", "function")
    assert stranger.run("self.origin") == "null"
    assert stranger.run(script) == 1006
    assert ours.run(script) == "open"
    for tab in (stranger, ours):
        tab.close()


def test_handshakes_in_requests_get_the_status_they_say(address: str) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    for case in wire_cases(str(LAB.folder / "test_websockets.py")):
        with Wire(host, int(port), PATIENCE) as wire:
            wire.send(case.data)
            line = wire.read().partition(b"\r\n")[0].decode()
        assert line.split()[1] == case.notes["status"], f"{case.name}: {line}"


def test_page_needs_nothing_from_elsewhere(address: str) -> None:
    """No script, style or font of another host: it works in a room without a network."""
    with urlopen(address + "/") as answer:
        page = answer.read().decode()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
