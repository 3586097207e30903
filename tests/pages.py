"""What tests of pages share: a page by itself, a tab that shows it, what a program may say, and axe-core."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.browser import SECONDS, Browser, Tab, program
from workshop.labs import Lab
from workshop.learn.lab_page import LabPage
from workshop.page.page_server import Page, application
from workshop.paths import ROOT
from workshop.run import tcp_ports
from workshop.self_contained import asset

AXE = ROOT / "tests" / "axe"
EVIL = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
needs_browser = pytest.mark.skipif(program() is None, reason="there is no Chromium here")


def failing(name: str, **finding: Any) -> dict[str, Any]:
    said = {
        "sent": "",
        "got": "",
        "expected": "",
        "rule": "",
        "where": "",
        "trace": [],
        "again": [],
        **finding,
    }
    return {"name": name, "title": name, "task": 1, "verdict": "FAIL", "points": 0, "of": 2, "finding": said}


def asked(lab: Lab, target: Path, path: str) -> httpx.Response:
    """What the page's application answers, without a server."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application(Page(lab, str(target))))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(ask())


@contextlib.contextmanager
def alone(lab: Lab, target: Path) -> Iterator[LabPage]:
    stack: Any = SimpleNamespace(front=None, mode="embedded", lab=lab)
    page = LabPage(stack, str(target))
    try:
        yield page
    finally:
        page.end()


def opened(chromium: Browser, url: str, width: int = 1440) -> Tab:
    tab = chromium.tab()
    tab.look(width)
    until = time.monotonic() + SECONDS
    while not tcp_ports.is_listening("127.0.0.1", int(url.split(":")[2].split("/")[0])):
        assert time.monotonic() < until, url
        time.sleep(0.02)
    tab.open(url)
    tab.await_true("document.querySelectorAll('.check').length > 0")
    return tab


TIMELINE = {
    "events": [
        {"at": 0.001, "lane": "client", "what": "sent", "data": EVIL, "size": 9, "connection": 1},
        {
            "at": 2.5,
            "lane": "server",
            "what": f"printed {EVIL}",
            "data": EVIL * 40,
            "size": None,
            "connection": 0,
        },
    ],
    "waits": [{"start": 0.001, "seconds": 2.499, "after": f"client: {EVIL}"}],
    "silent": {"nginx": EVIL},
    "seconds": 2.6,
    "left_out": 3,
}


def without_ours(text: str) -> str:
    """A page of a graded class, less the scripts that are ours: of others it has none."""
    for name in ("timeline.js", "report.js", "class.js"):
        text = text.replace(f"<script>{asset(name)}</script>", "")
    return text.replace('<script src="timelines.js" defer></script>', "")


def trouble_for_some(tab: Tab, *rules: str) -> list[str]:
    """What axe-core has against the page as it is shown now: all that it knows, or these rules."""
    tab.value((AXE / "axe.min.js").read_text(encoding="utf-8") + "; true")
    chosen = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    script = (
        f"axe.run(document, {json.dumps(chosen)}).then(found => found.violations.flatMap(one =>"
        " one.nodes.map(node => `${one.id}: ${node.target}: ${node.failureSummary}`)))"
    )
    found: list[str] = tab.value(script)
    return found
