"""A learner's side of the room: what is sent, how it is said, and a watch that never waits for it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import judging
from tests.rooms import (
    ADA,
    EVIL,
    FIRST,
    LAB,
    SECONDS,
    TASKS,
    Running,
    done,
    known,
    path_fixture,
    report,
    room_fixture,
    running,
)
from tests.terminal import PROMPT, Terminal
from tests.test_bad_input import assert_all_gone, checkout_fixture
from tests.test_broken import left_running
from tests.test_surroundings import make
from workshop.errors import Refusal
from workshop.judge.http_wire import WireError
from workshop.learn import hints
from workshop.paths import ROOT, SOLUTIONS
from workshop.room import joining, sent_report
from workshop.room.joining import Member, member_of
from workshop.room.reporter import Reporter
from workshop.room.room_database import RoomDatabase
from workshop.room.room_report import (
    clean_name,
    new_token,
    parsed,
    plain_token,
)
from workshop.room.sent_report import Answer, Sender
from workshop.run import tcp_ports

__all__ = ["checkout_fixture", "path_fixture", "room_fixture"]


# --- the learner's side


@pytest.fixture(name="kept")
def kept_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .workshop of its own: who they are, and what was judged."""
    monkeypatch.setattr(joining, "KEPT", tmp_path / "room.json")
    monkeypatch.setattr(joining, "SENT", tmp_path / "room-sent.json")
    monkeypatch.setattr(sent_report, "last_result", lambda lab: None)
    monkeypatch.setattr(sent_report, "level_given", lambda lab, task: 2)
    return tmp_path / "room.json"


def given(room: str = "127.0.0.1:8700", token: str = "abcd-efgh-jkmn", name: str = "Ada") -> dict[str, str]:
    return {"WORKSHOP_ROOM": room, "WORKSHOP_ROOM_TOKEN": token, "WORKSHOP_ROOM_NAME": name}


@pytest.mark.parametrize(
    "env, words",
    [
        ({"room": ""}, "ROOM is missing"),
        ({"room": "10.0.0.1"}, "ROOM='10.0.0.1' can't be used"),
        ({"room": "10.0.0.1:0"}, "can't be used"),
        ({"room": "10.0.0.1:70000"}, "can't be used"),
        ({"room": "-oProxy:22"}, "can't be used"),
        ({"room": "a b:22"}, "can't be used"),
        ({"room": "a..b:22"}, "can't be used"),
        ({"room": "a" * 64 + ":22"}, "can't be used"),
        ({"room": "https://10.0.0.1:8700"}, "can't be used"),
        ({"token": ""}, "TOKEN is missing"),
        ({"token": "abcd"}, "TOKEN can't be used"),
        ({"name": "\x1b\x07"}, "NAME can't be used"),
        ({"name": ""}, "NAME is missing"),
    ],
)
def test_what_can_t_be_used_is_said_in_one_line(env: dict[str, str], words: str, kept: Path) -> None:
    with pytest.raises(Refusal, match=re.escape(words)) as refused:
        member_of(given(**env))
    assert refused.value.code == 2 and "\n" not in str(refused.value)
    assert not kept.exists()


def test_a_learner_is_the_same_one_next_time(kept: Path) -> None:
    first = member_of(given(room="http://10.0.0.1:8700/", name=" Ada\tL "))
    assert (first.host, first.port, first.name, len(first.id)) == ("10.0.0.1", 8700, "Ada L", 32)
    assert member_of(given(name="")).id == first.id and member_of(given(name="")).name == "Ada L"
    renamed = member_of(given(name="Grace"))
    assert (renamed.id, renamed.name) == (first.id, "Grace")
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_text("{broken", encoding="utf-8")
    assert member_of(given()).id != first.id


def test_a_report_is_made_of_the_last_verdict_and_the_hints(
    monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    """Of a result that also has bytes, tracebacks and code, nothing else goes out."""
    checks = [
        {"name": name, "task": task.number, "verdict": "PASS", "finding": {"trace": ["secret code"]}}
        for task in LAB.tasks
        for name in task.checks
    ]
    monkeypatch.setattr(sent_report, "last_result", lambda lab: {"checks": checks})
    assert sent_report.report_now(ADA, "Ada", LAB, 3) == done(number=0, minutes=3)
    checks[-1]["verdict"] = "TIMEOUT"
    found = sent_report.report_now(ADA, "Ada", LAB, 3)
    assert found == report(
        number=0, task=TASKS, check=checks[-1]["name"], verdict="TIMEOUT", hint=2, minutes=3
    )
    odd = {"verdict": "FAIL", "task": "x", "name": 7}
    kinds: list[Any] = [None, {}, {"checks": [7]}, {"checks": [{"verdict": "FAIL"}]}, {"checks": [odd]}, []]
    for broken in kinds:
        monkeypatch.setattr(sent_report, "last_result", lambda lab, broken=broken: broken)
        assert sent_report.report_now(ADA, "Ada", LAB, 0).verdict is None


@pytest.mark.parametrize(
    "text, level", [('{"KEY/": 2, "KEY/x": 3, "other": 1}', 3), ("[]", 0), ('{"KEY/": "2"}', 0)]
)
def test_hints_are_counted_task_by_task(
    text: str, level: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "GIVEN", tmp_path / "hints.json")
    hints.GIVEN.write_text(text.replace("KEY", f"{LAB.name}/2"), encoding="utf-8")
    assert [hints.level_given(LAB, task) for task in (1, 2)] == [0, level]


@contextlib.contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Somebody who is no room, on a port: `talk` has each connection, in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(4096)
                        talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(SECONDS)


def _says_nothing(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def _is_endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def says(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


NONSENSE = {
    "slow": _says_nothing,
    "silent": lambda connection: None,
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a login page": says(
        b"HTTP/1.1 302 Found\r\nLocation: http://login.example\r\nContent-Length: 0\r\n\r\n"
    ),
    "endless": _is_endless,
    "numbers without end": says(b'HTTP/1.1 409 Conflict\r\nContent-Length: 15\r\n\r\n{"number": 1e99}'),
    "deep": says(b"HTTP/1.1 409 Conflict\r\nContent-Length: 5000\r\n\r\n" + b"[" * 5000),
}


@pytest.mark.parametrize("talk", NONSENSE.values(), ids=NONSENSE.keys())
def test_what_is_no_room_is_no_room(talk: Callable[[socket.socket], None], kept: Path) -> None:
    with answering(talk) as port:
        sender = Sender("127.0.0.1", port, new_token())
        try:
            assert sender.send(sender.numbered(report()), 0.2) is Answer.NONSENSE
        except WireError as error:
            assert "\n" not in error.got


def test_a_room_that_is_away_is_said_once_and_once_that_it_is_back(
    path: Path, kept: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    port = tcp_ports.free_port()
    database = RoomDatabase(path)
    database.close()
    member = Member("127.0.0.1", port, plain_token(_token(path)), ADA, "Ada")
    reporter = Reporter(member, LAB)
    for _ in range(3):
        reporter.look(SECONDS)
    said = capfd.readouterr().err
    assert said.count("Connection refused") == said.count("Your lab goes on") == 1, said
    with running(path, port) as room:
        for _ in range(3):
            reporter.look(SECONDS)
        assert capfd.readouterr().err.count("it is reached again") == 1
        (shown,) = room.state()["learners"]
        assert (shown["name"], shown["hint"], shown["verdict"]) == ("Ada", 2, None)
    sent = parsed((kept.parent / "room-sent.json").read_bytes())
    assert (sent.name, sent.hint, sent.number > 0) == ("Ada", 2, True), "a learner can look at what was sent"


def _token(path: Path) -> str:
    database = RoomDatabase(path)
    token = database.token()
    database.close()
    return token


def test_a_clock_that_was_put_back_is_no_end_of_reports(room: Running, kept: Path) -> None:
    assert room.sender().send(report("2" * 32, number=2**50), SECONDS) is Answer.KEPT
    sender = room.sender()
    assert sender.send(sender.numbered(report("2" * 32, name="Two")), SECONDS) is Answer.KEPT
    assert len(known(room, "Two")) == 1


# --- from make to the page


@pytest.mark.whole("rooms")
def test_make_lab_tells_the_room_and_says_what(checkout: Path, room: Running) -> None:
    words = ["lab-1", f"ROOM=127.0.0.1:{room.port}", f"TOKEN={room.token}", f"NAME=O'{EVIL[:20]}"]
    done = make(*words, cwd=checkout)
    assert done.returncode == 0, done.stderr
    (shown,) = re.findall(r"^    (\{.*\})$", done.stdout, re.MULTILINE)
    sent = parsed(shown.encode())
    assert (sent.lab, sent.verdict) == (1, None) and room.token not in shown
    (learner,) = known(room, clean_name(f"O'{EVIL[:20]}"))
    assert (learner["task"], learner["check"], learner["verdict"]) == (1, FIRST, "FAIL")
    refused = make("lab-1", words[1], f"TOKEN={new_token()}", "FROM=solution", cwd=checkout)
    assert refused.returncode == 2 and "does not know this TOKEN" in refused.stderr
    assert "NotImplementedError" not in refused.stdout, "nothing was started"
    assert "NotImplementedError" in (checkout / "labs" / LAB.name / LAB.edit[0]).read_text(encoding="utf-8")


@pytest.mark.whole("rooms")
def test_a_watch_goes_on_whatever_becomes_of_its_room(checkout: Path, path: Path) -> None:
    env = {**judging.environment(), "TERM": "dumb", "COLUMNS": "120", "PORT": "", "MODE": "embedded"}
    edited = checkout / "labs" / LAB.name / LAB.edit[0]
    solved = (SOLUTIONS / LAB.name / LAB.edit[0]).read_text(encoding="utf-8")
    with running(path) as room:
        words = ["make", "lab-1", f"ROOM=127.0.0.1:{room.port}", f"TOKEN={room.token}"]
        terminal = Terminal(words, checkout, env)
        terminal.await_text("Your name: ")
        terminal.type("\x1b\n")
        terminal.await_text("Your name: ")
        terminal.type("Ada\n")
        terminal.await_text(PROMPT)
        terminal.type("h")
        terminal.await_text("hint 1 of 3")
        await_learner(room, hint=1, verdict="FAIL")
        room.process.kill()
    terminal.await_text(r"the room at 127.0.0.1:\d+: .*Your lab goes on")
    edited.write_text(solved, encoding="utf-8")
    terminal.await_text("checks pass")
    with running(path, room.port) as room:
        terminal.await_text("it is reached again")
        await_learner(room, verdict="PASS", name="Ada")
        terminal.type("q")
        assert terminal.process.wait(SECONDS) == 0
    assert terminal.shown.count("Your lab goes on") == 1
    terminal.close()
    assert_all_gone(checkout)


def await_learner(room: Running, **said: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        (learner,) = room.state()["learners"]
        if said.items() <= learner.items():
            return
        assert time.monotonic() < deadline, learner
        time.sleep(0.05)


def test_only_make_s_command_line_names_a_room() -> None:
    """NAME is a variable of WSL's, TOKEN of anybody's."""
    theirs = {"ROOM": "10.0.0.1:1", "TOKEN": "abc", "NAME": "DESKTOP-1", "WORKSHOP_ROOM": "10.0.0.1:1"}
    assert "join" not in make("-n", "lab-1", cwd=ROOT, **theirs).stdout
    shown = make("--eval", "shown: ; @env", "shown", cwd=ROOT, **theirs).stdout
    assert "WORKSHOP_ROOM=\n" in shown and "10.0.0.1" not in shown and "DESKTOP" not in shown
    assert "launch.sh join 1 &&" in make("-n", "lab-1", "NAME=Ada", cwd=ROOT).stdout


# What an engine is asked to run, instead of an engine.
DOCKER = """#!/bin/sh
case "$*" in
info*) echo '27.0.0 [name=seccomp]' ;;
*version*) echo 2.30.0 ;;
*" run "*) echo "$WORKSHOP_ROOM, $WORKSHOP_ROOM_TOKEN, $WORKSHOP_ROOM_NAME: $*" >>"$0.log" ;;
esac
"""


def test_in_docker_a_room_reaches_a_container_that_has_a_way_out(checkout: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER, encoding="utf-8")
    program.chmod(0o755)
    env = {"MODE": "docker", "PATH": f"{program.parent}:{judging.environment()['PATH']}"}
    given = ["ROOM=10.0.0.1:8700", "TOKEN=abcd", "NAME=Ada L"]
    for words in ([], given):
        done = make("lab-1", *words, cwd=checkout, **env)
        assert done.returncode == 0, done.stdout + done.stderr
    said = Path(f"{program}.log").read_text(encoding="utf-8").splitlines()
    ran = [re.sub(r": compose .* run .*?((?:grade|report) .*)", r": \1", line) for line in said]
    ours = "10.0.0.1:8700, abcd, Ada L"
    assert ran == [", , : grade lab 1", f"{ours}: report join 1", f"{ours}: report lab 1"], said
    services = (checkout / "compose.yaml").read_text(encoding="utf-8").partition("\nservices:\n")[2]
    blocks = dict(re.findall(r"^  (\w+):.*\n((?:    .*\n|\n)+)", services, re.MULTILINE))
    report_block = blocks.pop("report")
    assert "WORKSHOP_ROOM_TOKEN" in report_block and "networks: [back, front]" in report_block
    assert not any("WORKSHOP_ROOM" in block for block in blocks.values()), "their code hears of no room"
    deadline = time.monotonic() + SECONDS
    while left_running(checkout):  # what limits the launcher's questions to an engine ends a moment later
        assert time.monotonic() < deadline
        time.sleep(0.02)
