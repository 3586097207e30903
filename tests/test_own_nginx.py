"""A lab whose nginx.conf a learner writes: what nginx has against it is said with the learner's own line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import judging
from workshop.labs import find
from workshop.paths import ROOT, SOLUTIONS
from workshop.run import nginx_config, process, tcp_ports
from workshop.run.nginx_config import Front, complaint
from workshop.run.nginx_process import NginxProcess

RUN = Path("/run/workshop")
SAID = {
    'nginx: [emerg] unknown directive "lisen" in /run/workshop/learner/nginx.conf:7': "nginx.conf:7",
    '2026/11/22 23:44:06 [emerg] 9#9: unknown directive "lisen" in /run/workshop/learner/nginx.conf:7\n': (
        "nginx.conf:7"
    ),
}


@pytest.mark.parametrize("said", SAID)
def test_complaint_begins_with_the_learner_s_line(said: str) -> None:
    assert complaint(said, RUN) == f'{SAID[said]}: unknown directive "lisen"'


def test_complaint_without_a_line_is_said_as_it_is() -> None:
    assert complaint("nginx: [emerg] no such thing", RUN) == "no such thing"
    assert complaint("", RUN)


def test_holes_are_filled_and_lines_keep_their_numbers() -> None:
    lab = find("19")
    fronts = [
        Front(name, f"127.0.0.1:{port}", {"one": port + 1, "two": port + 2}, SOLUTIONS / lab.name)
        for name, port in (("learner", 7000), ("reference", 8000))
    ]
    files = nginx_config.files(lab, fronts, "app", RUN, Path("/tmp"))
    assert {
        *nginx_config.MAIN,
        "learner/nginx.conf",
        "reference/nginx.conf",
        "static/hello.txt",
    } <= files.keys()
    written = (SOLUTIONS / lab.name / "nginx.conf").read_text(encoding="utf-8")
    filled = files["learner/nginx.conf"]
    assert filled.count("\n") == written.count("\n") and "@" not in filled
    assert "server app:7001 " in filled and "listen 127.0.0.1:7000;" in filled
    assert f'include "{RUN}/reference/nginx.conf";' in files["reference.conf"]


def test_configuration_that_nginx_refuses_is_a_finding(tmp_path: Path) -> None:
    lab = find("19")
    for name in lab.edit:
        text = (SOLUTIONS / lab.name / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("server_name _;", "server_nam _;"), encoding="utf-8")
    result = judging.judge(lab, tmp_path, "-k", "task1_both")
    (check,) = result["checks"]
    line = 1 + (tmp_path / "nginx.conf").read_text(encoding="utf-8").split("server_nam _")[0].count("\n")
    assert check["verdict"] == "NO_START"
    assert check["finding"]["got"] == f'nginx.conf:{line}: unknown directive "server_nam"'


@pytest.fixture
def door(tmp_path: Path) -> Iterator[NginxProcess]:
    """The nginx of lab 19's solution, not started yet."""
    program = nginx_config.command()
    if program is None:
        pytest.skip("there is no nginx on this machine")
    lab = find("19")
    ports = {name: tcp_ports.free_port() for name in lab.services}
    front = Front("learner", f"127.0.0.1:{tcp_ports.free_port()}", ports, SOLUTIONS / lab.name)
    made = NginxProcess(lab, [front], "127.0.0.1", tmp_path, tmp_path, program)
    yield made
    made.close()


def test_an_nginx_that_listens_before_it_is_known_is_no_stranger(
    door: NginxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody asks while it starts: it neither moves to another port nor is started twice."""
    door.moves = True
    asked = threading.Thread(target=door.is_ready)

    def start(*words: Any, **more: Any) -> process.Process:
        made = begin(*words, **more)
        while not tcp_ports.is_listening("127.0.0.1", port):
            assert made.exit_code() is None
        if not asked.ident:
            asked.start()
            asked.join(0.5)  # long enough to begin anew, for who does not wait
        return made

    begin, port = process.Process, door.fronts[0].port
    monkeypatch.setattr(process, "Process", start)
    door.write()
    door.open()
    asked.join()
    assert (door.fronts[0].port, len(door.running)) == (port, 1)


def test_while_nginx_begins_anew_nobody_hears_that_it_has_ended(door: NginxProcess) -> None:
    """A service got another port in one thread, while another one asks how nginx is."""
    refused, ended = set[str](), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            refused.add(door.status()["refused"])

    door.follow()
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        door.follow()
        while not door.is_ready():
            pass
    ended.set()
    for thread in threads:
        thread.join()
    assert refused == {""}


# A service that ends, in another thread of the agent's, while a configuration is tried: what is left behind
# is ended then. Its own end is what the "nginx" here waits for.
ENDS_WHILE_IT_IS_TRIED = """
import os, sys, threading
from pathlib import Path
from workshop.labs import find
from workshop.run import nginx_process, process
from workshop.run.nginx_config import Front

lab, folder = find("19"), Path(sys.argv[1])
process.adopt_orphans()
service = process.Process(["sleep", "60"], cwd=folder, env={"PATH": "/bin:/usr/bin"})
front = Front("learner", "127.0.0.1:1", dict.fromkeys(lab.services, 1), lab.folder)
door = nginx_process.NginxProcess(lab, [front], "127.0.0.1", folder, folder, sys.argv[2])
conf = folder / "nginx.conf"
conf.touch()
answer = []
trying = threading.Thread(target=lambda: answer.append(door._is_refused(conf)))
go = os.open(folder / "go", os.O_RDWR)
trying.start()
(folder / "tried").open("rb").read()
process.end_all([service])
os.write(go, b"\\n")
trying.join()
print(answer, repr(door.refused))
"""
WAITS_AND_REFUSES = """#!/bin/sh
cd {folder}
echo > tried
read line < go
echo 'nginx: [emerg] no such thing' >&2
exit 1
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_who_ends_a_service_does_not_end_the_nginx_that_tries_a_configuration(tmp_path: Path) -> None:
    program = tmp_path / "nginx"
    program.write_text(WAITS_AND_REFUSES.format(folder=tmp_path), encoding="utf-8")
    program.chmod(0o755)
    for name in ("tried", "go"):
        os.mkfifo(tmp_path / name)
    words = [sys.executable, "-c", ENDS_WHILE_IT_IS_TRIED, str(tmp_path), str(program)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True] 'no such thing'"
