"""The environment of the user never reaches a verdict: every lab gives the same bytes in a hostile one."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import judging
from workshop import bootstrap, environment
from workshop.judge.stack import Address, Stack
from workshop.labs import Lab, all_labs, find
from workshop.load.locust_runs import Plan, _environment
from workshop.paths import ROOT
from workshop.run import service_command

HOSTILE = {
    "WEB_CONCURRENCY": "5",
    "GUNICORN_CMD_ARGS": "--workers 3 --no-such-option",
    "UVICORN_PORT": "9",
    "UVICORN_WORKERS": "4",
    "FORWARDED_ALLOW_IPS": "*",
    "FLASK_DEBUG": "1",
    "FLASK_APP": "nothing",
    "DJANGO_SETTINGS_MODULE": "nothing.settings",
    "PYTEST_ADDOPTS": "--co -p no:terminal",
    "PYTEST_PLUGINS": "no_such_plugin",
    "PYTEST_DEBUG": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONIOENCODING": "ascii",
    "PYTHONOPTIMIZE": "2",
    "PYTHONHOME": "/nowhere",
    "PYTHONDEVMODE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONHASHSEED": "1",
    "PYTHONUTF8": "0",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONBREAKPOINT": "0",
    "LOCUST_USERS": "9",
    "LOCUST_HOST": "http://127.0.0.1:9",
    "HTTP": "h11",
    "JOURNAL": "/nowhere",
    "SITE_BODY": "1",
    "STACK_LAYERS": "nonsense",
    "TZ": "Pacific/Chatham",
    "LC_ALL": "C",
    "LAB": "18",
    "TARGET": "solution",
    "FROM": "solution",
    "CDPATH": "/",
    "VIRTUAL_ENV": "/nowhere",
    "COLUMNS": "0",
    "FORCE_COLOR": "1",
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
}


@pytest.fixture(name="command")
def command_fixture(tmp_path: Path) -> Path:
    """The command `workshop`, as bootstrap.py writes it beside a Python."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / "workshop").symlink_to(ROOT / "workshop")
    (programs / "python").write_text(f'#!/bin/sh\nexec "{ROOT}/.venv/bin/python" "$@"\n')
    (programs / "python").chmod(0o755)
    bootstrap.write_command(str(programs / "workshop"))
    return programs / "workshop"


@pytest.fixture(name="hostile")
def hostile_fixture(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which nothing is as the workshop would like it."""
    strange, temporary = tmp_path / "strange modules", tmp_path / ("a folder; with $signs " + "x" * 100)
    for folder in (strange, temporary):
        folder.mkdir()
    for name in ("sitecustomize", "usercustomize", "json", "logging", "gunicorn", "uvicorn", "workshop"):
        (strange / f"{name}.py").write_text("raise SystemExit('hostile')\n")
    yield {**judging.environment(), **HOSTILE, "PYTHONPATH": str(strange), "TMPDIR": str(temporary)}
    assert not list(temporary.iterdir())


def verdict(command: Path, lab: Lab, target: Path | str, env: dict[str, str], cwd: Path) -> tuple[int, str]:
    words = ["check", str(lab.number), "--target", str(target), "--all", "--json", "--seed", "7"]
    done = subprocess.run(
        [str(command), *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.stderr or lab.yours, done.stderr
    return done.returncode, without_chance(done.stdout)


def without_chance(said: str) -> str:
    """Without what is another in each run: ports, folders, lab 16's ids, and when a program or a body ended.

    One that is killed while it starts may have ended by itself just before.
    """
    said = re.sub(r"\b(1[5-9]|2\d|3[01])\d{3}\b", "PORT", said)
    said = re.sub(r"\S*/workshop-\w{4}-\w+", "FOLDER", said)
    said = re.sub(r"the connection ended after \d+ bytes", "the connection ended after N bytes", said)
    said = re.sub(r'(/tasks/|\\"id\\": ?(\\")?)[\w-]+', r"\1ID", said)
    return re.sub(r"after \d+(\.\d+)? s \((exit code 1|signal 9)\)", "after N s", said)


@pytest.mark.whole("labs in a hostile environment")
@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_a_lab_gives_the_same_bytes(lab: Lab, command: Path, hostile: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --co\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit('hostile')\n")
    for target, code in ((judging.starter(lab), 1), ("solution", 0)):
        usual = verdict(command, lab, target, judging.environment(), ROOT)
        assert usual[0] == code, usual[1]
        here = verdict(command, lab, target, hostile, tmp_path)
        changed = list(difflib.unified_diff(usual[1].splitlines(), here[1].splitlines(), n=0, lineterm=""))
        assert not changed, "\n".join(changed)
        assert here[0] == code


def test_programs_get_what_is_on_the_list(hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    allowed = {*environment.PROGRAMS.split(), *environment.FIXED, environment.MARK}
    lab = find("5")
    service = service_command.environment(lab, lab.folder)
    own = {name for name in service if name.startswith("PYTHON")}
    assert service.keys() - allowed == own - environment.FIXED.keys()
    assert "strange" not in service["PYTHONPATH"]
    address = Address("127.0.0.1", 1)
    stack = Stack(lab, "starter", "embedded", lab.folder, address, "", reference_front=address)
    driven = _environment(stack, Plan(1, 1), lab.folder)
    assert all(name in allowed or name.startswith(("FAIR_", "PYTHON")) for name in driven)


def test_the_tool_keeps_what_installers_and_terminals_go_by() -> None:
    told = {
        "PIP_INDEX_URL": "https://pypi.example/simple",
        "UV_INDEX_URL": "https://pypi.example/simple",
        "HTTPS_PROXY": "http://proxy.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "COLUMNS": "100",
        "WATCHFILES_FORCE_POLLING": "1",
        "LOAD_SECONDS": "5",
    }
    assert environment.of_tool(HOSTILE | told).items() >= told.items()
    assert not environment.of_program(told).keys() & told.keys()


@pytest.mark.parametrize("folder", ["/tmp/a b", "/tmp/" + "x" * 90, "/tmp/$x", '/tmp/"', "/tmp/ü"])
def test_a_temporary_folder_that_sockets_or_nginx_can_t_use_is_not_used(folder: str) -> None:
    assert "TMPDIR" not in environment.of_tool({"TMPDIR": folder})
    assert environment.of_tool({"TMPDIR": "/var/tmp"}) == {"TMPDIR": "/var/tmp"}


@pytest.mark.parametrize("width", ["0", "1", "wide", ""])
def test_a_width_of_no_terminal_is_not_used(width: str) -> None:
    assert "COLUMNS" not in environment.of_tool({"COLUMNS": width})
    assert environment.of_tool({"COLUMNS": "40"}) == {"COLUMNS": "40"}


def test_the_command_tells_exit_codes_apart(command: Path, tmp_path: Path) -> None:
    def code(*words: str) -> int:
        done = subprocess.run([str(command), *words], cwd=tmp_path, capture_output=True, check=False)
        return done.returncode

    lab = find("1")
    assert code("check", "1", "--target", "solution", "-k", "says_hello") == 0
    assert code("check", "1", "--target", str(judging.starter(lab)), "-k", "says_hello") == 1
    assert code("check", "99") == 2
    assert code("check", "1", "--target", os.path.relpath(judging.starter(lab), tmp_path)) == 1
