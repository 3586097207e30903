"""In Docker mode, too: the page behind a container's nginx follows a watch, and a trace sees every hop."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import judging
from tests.browser import browser
from tests.pages import needs_browser
from tests.terminal import PROMPT, Terminal
from tests.test_modes import needs_engine
from workshop.judge.timeline import LANES
from workshop.labs import find
from workshop.paths import ROOT, SOLUTIONS
from workshop.run import tcp_ports

LAB = find("1")
FILE = LAB.edit[0]
LAUNCH = ["sh", "workshop/launch.sh"]

pytestmark = [needs_engine, pytest.mark.whole("comparisons of both modes")]


@needs_browser
def test_the_page_follows_a_watch(tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.copytree(judging.starter(LAB), target)
    port = str(tcp_ports.free_port())
    env = {**judging.environment(), "MODE": "docker", "TERM": "dumb", "COLUMNS": "120", "PORT": port}
    terminal = Terminal([*LAUNCH, "lab", "1", "--target", str(target)], ROOT, env)
    try:
        terminal.await_text(r"in a browser: ")
        url = terminal.await_text(r"/__lab/").strip()
        terminal.await_text(PROMPT)
        with browser() as chromium:
            tab = chromium.tab()
            tab.open(url)
            tab.await_true("document.querySelectorAll('.failed').length > 0")
            terminal.await_text("recorded for it")
            tab.await_true("document.body.innerText.includes('What happened, on every hop')")
            terminal.await_text(PROMPT)
            shutil.copy(SOLUTIONS / LAB.name / FILE, target / FILE)
            tab.await_true(f"document.querySelectorAll('.check.PASS').length === {len(LAB.checks)}")
            assert not tab.problems
        terminal.await_text(PROMPT)
        terminal.type("q")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.close()


def test_a_trace_sees_every_hop() -> None:
    words = ["trace", "1", "--target", "solution", "-k", "greets_by_name", "--json"]
    done = subprocess.run(
        [*LAUNCH, *words],
        cwd=ROOT,
        env={**judging.environment(), "MODE": "docker"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    (check,) = judging.read_result(done)["checks"]
    assert check["verdict"] == "PASS"
    seen = {one["lane"] for one in check["timeline"]["events"]}
    assert seen >= {"client", "nginx", "application"}
    assert seen | set(check["timeline"]["silent"]) == set(LANES)
