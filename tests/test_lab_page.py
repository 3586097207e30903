"""The lab page: what it shows, what it never takes for markup, and a real browser that follows a watch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import judging
from tests.browser import Browser, browser
from tests.pages import AXE, EVIL, TIMELINE, alone, asked, failing, needs_browser, opened
from tests.terminal import PROMPT, SECONDS, Terminal, pid_of, port_of_runs, watched
from tests.test_bad_input import assert_all_gone
from workshop.labs import Lab, Service, all_labs, find
from workshop.learn.hints import sections
from workshop.load import curves_page
from workshop.load.load_verdict import LoadVerdict, Outcome, Run, Series
from workshop.load.result import LoadResult
from workshop.page.lab_state import LabState, titles
from workshop.page.lesson import lesson, rendered
from workshop.paths import PAGE_ASSETS, ROOT, SOLUTIONS
from workshop.run import nginx_config
from workshop.run.nginx_config import Front

LAB = find("2")
FILE = LAB.edit[0]
RECORDED = "once more, and recorded"


# --- the lesson


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_every_lesson_and_hint_is_rendered(lab: Lab) -> None:
    html = lesson(lab)
    text = (lab.folder / "README.md").read_text(encoding="utf-8")
    assert html.startswith(f"<h1>Lab {lab.number} ")
    assert html.count("<details>") == html.count("</details>") == text.count("\n<details>")
    tags = set(re.findall(r"</?([a-z0-9]+)", html))
    assert not tags & {"script", "style", "img", "iframe", "object", "form"}
    for section in sections(lab):
        assert all(rendered(level, lab) for level in section.levels)
    assert set(titles(lab)) >= set(lab.checks)


def test_markdown_brings_no_markup_of_its_own() -> None:
    html = rendered(
        f"{EVIL}\n\n[a](javascript:alert(1)) [b](data:text/html,x) [c](apps/x.py)\n\n<b onclick=x>", LAB
    )
    assert not re.search(r"<(script|img|b)\b", html)
    assert "href" not in html


# --- the state


def test_a_save_makes_every_check_due_and_a_verdict_settles_them(tmp_path: Path) -> None:
    state = LabState(LAB, str(tmp_path))
    state.hear({"saved": FILE})
    state.hear({"began": LAB.checks})
    assert all(check["due"] for task in state.as_dict()["tasks"] for check in task["checks"])
    state.hear({"check": failing(LAB.checks[0])})
    first, second = state.as_dict()["tasks"][0]["checks"][:2]
    assert (first["verdict"], first["due"], second["due"]) == ("FAIL", False, True)
    state.hear({"result": {"seed": 7, "mode": "embedded"}})
    assert not any(check["due"] for task in state.as_dict()["tasks"] for check in task["checks"])


def test_a_run_that_came_to_no_result_is_not_taken_for_a_verdict(tmp_path: Path) -> None:
    """Its process ended, or what it told was lost on the way: what stands there is of an earlier one."""
    state = LabState(LAB, str(tmp_path))
    for ends, whole in (({"idle": True}, False), ({"result": {"seed": 7, "mode": "embedded"}}, True)):
        state.hear({"began": LAB.checks})
        state.hear({"check": failing(LAB.checks[0])})
        state.hear(ends)
        state.hear({"idle": True})
        assert (state.status["judging"], state.status["whole"]) == (False, whole)


def test_hints_are_those_that_the_command_would_give(tmp_path: Path) -> None:
    lab = next(lab for lab in all_labs() if any(section.when for section in sections(lab)))
    section = next(section for section in sections(lab) if section.when)
    name = next(iter(lab.tasks[section.task - 1].checks))
    state = LabState(lab, str(tmp_path))
    state.hear({"check": failing(name, got=f"… {section.when} …")})
    (check,) = [one for task in state.as_dict()["tasks"] for one in task["checks"] if one["name"] == name]
    assert check["hint"] == f"hints-{sections(lab).index(section)}"


def test_a_rule_leads_to_the_clause_that_the_table_names(tmp_path: Path) -> None:
    state, (known, other) = LabState(LAB, str(tmp_path)), LAB.checks[:2]
    state.hear({"check": failing(known, rule="RFC 9112 §6.3")})
    state.hear({"check": failing(other, rule="this lab")})
    first, second = state.as_dict()["tasks"][0]["checks"][:2]
    assert first["link"] == "https://www.rfc-editor.org/rfc/rfc9112.html#section-6.3"
    assert second["link"] == ""


# --- what it answers


class Client:
    """Asks the page of one lab."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def get(self, path: str) -> httpx.Response:
        return asked(LAB, self._target, path)


@pytest.fixture(name="client")
def client_fixture(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_a_strict_policy_comes_with_every_answer(client: Client) -> None:
    answer = client.get("/__lab/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-") and "unsafe" not in policy
    nonce = re.findall("nonce-([^']+)", policy)[0]
    assert client.get("/__lab/").text != answer.text, "a nonce is used once"
    loads = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", answer.text)
    assert len(loads) == 6 and all(f'nonce="{nonce}"' in one for one in loads)
    assert not re.search(r"<style|style=|\son[a-z]+=|https?://[^\"<]*\.(js|css)", answer.text)
    for path in ("assets/lab.js", "timelines/nothing", "lessons/99/README.md"):
        assert "default-src 'none'" in client.get(f"/__lab/{path}").headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "assets/../server.py",
        "assets/%2e%2e/server.py",
        "assets/uplot/LICENSE",
        "lessons/5/lab.toml",
        "lessons/5/..%2fREADME.md",
    ],
)
def test_nothing_else_of_the_checkout_is_shown(client: Client, path: str) -> None:
    assert client.get(f"/__lab/{path}").status_code == 404


@pytest.mark.parametrize("folder, count", [(PAGE_ASSETS / "uplot", 3), (AXE, 2)])
def test_a_vendored_library_is_the_one_that_its_note_names(folder: Path, count: int) -> None:
    note = (folder / "README.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"sha256:([0-9a-f]{64})  (?:dist/)?(\S+)", note))
    assert len(named) == count
    for digest, name in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


# --- behind nginx


def conf_of(lab: Lab, page: bool) -> str:
    front = Front("learner", "127.0.0.1:1", dict.fromkeys(lab.services, 2), lab.folder)
    return nginx_config.files(lab, [front], "app", Path("/run"), Path("/tmp"), None, page)["nginx.conf"]


def test_nginx_shows_it_where_it_is_asked_to_and_a_lab_that_wants_the_path_has_it() -> None:
    assert "location ^~ /__lab/" in conf_of(LAB, True) and "/__lab/" not in conf_of(LAB, False)
    own = Service("mine", "python http_text.py", "/__lab/", "server")
    theirs = dataclasses.replace(LAB, services={**LAB.services, "mine": own})
    assert conf_of(theirs, True).count("/__lab/") == 1


# --- a page by itself, that hears what a test says


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Browser]:
    with browser() as running:
        yield running


def test_whoever_opens_it_at_once_waits_for_it(tmp_path: Path) -> None:
    """Its socket listens before its process is up: nginx has nobody to call missing."""
    with alone(find("1"), tmp_path) as page:
        assert httpx.get(page.url, timeout=SECONDS).status_code == 200


def test_a_page_that_does_not_start_has_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(subprocess, "Popen", fails)
    with alone(find("1"), tmp_path) as page:
        assert page.url == ""


@needs_browser
@pytest.mark.whole("pages in a browser")
@pytest.mark.parametrize("width", [360, 1440])
def test_what_programs_say_is_text_and_fits(chromium: Browser, tmp_path: Path, width: int) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url, width)
        for name in LAB.checks:
            said = failing(name, got=EVIL, sent="x" * 3000, where=EVIL, rule=EVIL, trace=[EVIL], again=[EVIL])
            page.tell(check={**said, "title": EVIL, "timeline": TIMELINE})
        tab.await_true(f"document.querySelectorAll('.failed').length === {len(LAB.checks)}")
        tab.value("document.querySelectorAll('.failed details').forEach(one => one.open = true)")
        tab.await_true(f"document.querySelectorAll('.lanes').length === {len(LAB.checks)}")
        tab.value("document.querySelectorAll('.lanes button').forEach(one => one.focus())")
        assert tab.value("document.querySelector('.bytes').textContent").count("onerror") > 1
        assert tab.value("document.querySelectorAll('main script, main img').length") == 0
        assert "taken" not in tab.value("document.title")
        assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert not tab.problems


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_a_check_that_is_looked_at_stays_open_and_keeps_the_focus(chromium: Browser, tmp_path: Path) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url)
        for name in LAB.checks[:2]:
            page.tell(check=failing(name, got="before"))
        tab.await_true("document.querySelectorAll('.failed').length === 2")
        tab.value("window.second = document.querySelectorAll('.failed summary.headline')[1]")
        tab.value("second.click(), second.focus()")
        page.tell(check=failing(LAB.checks[1], got="after"))
        tab.await_true("document.body.innerText.includes('after')")
        assert tab.value("document.querySelectorAll('.failed > details')[1].open")
        assert tab.value(
            "document.activeElement === document.querySelectorAll('.failed summary.headline')[1]"
        )


def load_result(reason: str = "") -> LoadResult:
    blocks = tuple((second, 10, 100.0 + second) for second in range(8))
    series = [Series(side, "", 80, 0, 900.0, blocks) for side in ("yours", "reference")]
    outcome = Outcome(LoadVerdict.FAIL, (reason,)) if reason else Outcome(LoadVerdict.PASS, ())
    run = Run(("",), tuple(series))
    return LoadResult(LAB.number, LAB.name, EVIL, "starter", "embedded", 4, 4, outcome, [run])


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_a_load_run_s_page_needs_nothing_else_and_draws_both_sides(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    path.write_text(curves_page.page(load_result(EVIL)), encoding="utf-8")
    tab = chromium.tab()
    tab.look(360)
    tab.open(path.as_uri())
    tab.await_true("document.querySelectorAll('canvas').length === 2")
    assert tab.value("document.querySelectorAll('.u-series').length") == 6
    assert "taken" not in tab.value("document.title").replace("document.title='taken'", "")
    assert tab.value("document.querySelectorAll('main script, main img').length") == 0
    assert not tab.problems


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_the_last_load_run_is_on_the_page(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = LabState(LAB, str(tmp_path))
    monkeypatch.setattr("workshop.page.lab_state.REPORTS", tmp_path)
    (tmp_path / f"{LAB.name}-20260101-000000.json").write_text(
        curves_page.numbers(load_result()), encoding="utf-8"
    )
    state.hear({"load": True})
    assert state.as_dict()["load"]["verdict"] == "PASS"
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url)
        tab.value(f"drawLoad(document.getElementById('curves'), {json.dumps(state.as_dict()['load'])})")
        assert tab.value("document.querySelectorAll('#curves canvas').length") == 2
        assert not tab.problems


# --- with a watch


@pytest.fixture(name="target")
def target_fixture(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    shutil.copytree(judging.starter(LAB), target)
    return target


def url_of(terminal: Terminal) -> str:
    (said,) = re.findall(r"in a browser: (\S+)", terminal.shown)
    return str(said)


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_a_save_turns_a_task_green_in_every_tab_and_the_stream_survives_a_restart(
    chromium: Browser, target: Path
) -> None:
    port = port_of_runs()
    solved = (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")
    with watched("2", target, judging.environment(), port=port) as terminal:
        tabs = [opened(chromium, url_of(terminal)) for _ in range(2)]
        for tab in tabs:
            tab.value("window.sameDocument = true")
            tab.await_true("document.querySelectorAll('.failed').length > 0")
        terminal.await_text(RECORDED)
        terminal.await_text(PROMPT)
        tabs[0].await_true("document.body.innerText.includes('What happened, on every hop')")
        (target / FILE).write_text(solved, encoding="utf-8")
        terminal.await_text("15 of 15 checks pass")
        for tab in tabs:
            tab.await_true("document.querySelectorAll('.check.PASS').length === 15")
        terminal.type("q")
        assert terminal.process.wait(SECONDS) == 0
    tabs[0].await_true("document.getElementById('status').className === 'lost'")
    with watched("2", target, judging.environment(), port=port):
        for tab in tabs:
            tab.await_true("document.getElementById('status').textContent === '15 of 15 checks pass'")
            assert tab.value("window.sameDocument"), "nobody had to load it again"
            assert not tab.problems
    assert_all_gone(target)


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_a_tab_goes_along_to_the_lab_that_is_watched_next(
    chromium: Browser, target: Path, tmp_path: Path
) -> None:
    port, other = port_of_runs(), find("1")
    shutil.copytree(judging.starter(other), tmp_path / "other")
    with watched("2", target, judging.environment(), port=port) as terminal:
        tab = opened(chromium, url_of(terminal))
        terminal.type("q")
        assert terminal.process.wait(SECONDS) == 0
    with watched("1", tmp_path / "other", judging.environment(), port=port):
        # The lab of before may have as many checks.
        tab.await_true("document.querySelector('h1')?.textContent.startsWith('Lab 1 ') === true")
        tab.await_true(f"document.querySelectorAll('.check').length === {len(other.checks)}")
        tab.await_true("document.querySelectorAll('.failed').length > 0")
        assert not tab.problems


def test_a_watch_goes_on_without_its_page(target: Path) -> None:
    with watched("2", target, judging.environment()) as terminal:
        os.kill(pid_of(terminal, "workshop.page.page_server"), signal.SIGKILL)
        (target / FILE).write_text(
            (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8"), encoding="utf-8"
        )
        assert "15 of 15 checks pass" in terminal.await_text(PROMPT)
        terminal.type("q")
        assert terminal.process.wait(SECONDS) == 0
    assert_all_gone(target)


def test_the_page_s_process_imports_none_of_the_learner_s_code() -> None:
    said = "import sys, workshop.page.page_server; print([n for n in sys.modules if 'workshop.' in n])"
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "workshop.run.probe" not in done.stdout and "workshop.judge.plugin" not in done.stdout
