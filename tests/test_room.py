"""The room: what it takes, keeps and shows; what a stranger can't do; a watch that never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from tests import judging
from tests.browser import Browser, Tab, browser
from tests.pages import needs_browser
from tests.terminal import PROMPT, Terminal
from tests.test_bad_input import assert_all_gone, checkout_fixture
from tests.test_broken import left_running
from workshop.cli import main
from workshop.errors import Refusal
from workshop.judge.http_wire import WireError
from workshop.labs import find
from workshop.learn import hints
from workshop.paths import ROOT, SOLUTIONS
from workshop.room import joining, room_database, room_export, sent_report
from workshop.room.joining import Member, member_of
from workshop.room.reporter import Reporter
from workshop.room.room_database import RoomDatabase
from workshop.room.room_report import (
    MOST_BYTES,
    NAME_LENGTH,
    SIGNATURE,
    NoReport,
    RoomReport,
    clean_name,
    new_token,
    parsed,
    plain_token,
    signature,
)
from workshop.room.room_server import MOST_CONNECTIONS, Room, host_application, report_application
from workshop.room.room_view import view
from workshop.room.sent_report import Answer, Sender
from workshop.run import tcp_ports

__all__ = ["checkout_fixture"]
SECONDS = 60.0
LAB = find("1")
FIRST = next(iter(LAB.tasks[0].checks))
TASKS = len(LAB.tasks)
ADA, BOB = "a" * 32, "b" * 32
EVIL = "<img src=x onerror=\"document.title='taken'\">"


def report(id: str = ADA, number: int = 1, name: str = "Ada", **more: Any) -> RoomReport:
    said: dict[str, Any] = {"task": 1, "check": FIRST, "verdict": "FAIL", "hint": 0, "minutes": 0, **more}
    return RoomReport(id, number, name, said.pop("lab", LAB.number), **said)


def done(**more: Any) -> RoomReport:
    return report(**{"task": None, "check": None, "verdict": "PASS", **more})


# --- what a report is


def test_a_report_is_what_it_was_before_it_was_sent() -> None:
    for one in (report(), done(), report(check=None, verdict=None, name="Zoë 漢")):
        assert parsed(one.as_bytes()) == one
        assert len(one.as_bytes()) < MOST_BYTES


def test_the_longest_report_is_within_the_limit() -> None:
    longest = report(
        number=2**53 - 1,
        name="\N{FACE WITH TEARS OF JOY}" * NAME_LENGTH,
        check="test_" + "x" * 120,
        verdict="INFRA_ERROR",
        minutes=99_999,
    )
    assert parsed(longest.as_bytes()) == longest and len(longest.as_bytes()) < MOST_BYTES


@pytest.mark.parametrize(
    "field, value",
    [
        ("id", "A" * 32),
        ("id", "a" * 31),
        ("id", 7),
        ("number", -1),
        ("number", True),
        ("number", 1.0),
        ("number", 2**53),
        ("name", ""),
        ("name", "\u202e\u0000"),
        ("name", ["Ada"]),
        ("lab", 99),
        ("lab", "1"),
        ("task", 0),
        ("task", None),
        ("task", 100),
        ("check", "../../etc/passwd"),
        ("check", "test_" + "x" * 121),
        ("check", "test_Ü"),
        ("verdict", "GREAT"),
        ("verdict", []),
        ("hint", 4),
        ("minutes", 10**6),
    ],
)
def test_a_field_that_is_wrong_is_named(field: str, value: Any) -> None:
    data = {**json.loads(report().as_bytes()), field: value}
    with pytest.raises(NoReport, match=rf"can't be used: {field}\."):
        parsed(json.dumps(data).encode())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"[" * 1000, b"\xff\xfe", b"{}", b'{"id": NaN}', b'"' + b"a" * 900]
)
def test_what_is_no_report_is_none(body: bytes) -> None:
    with pytest.raises(NoReport):
        parsed(body)


def test_a_report_has_no_other_fields() -> None:
    data = json.loads(report().as_bytes())
    for more in ({**data, "code": "print()"}, {key: data[key] for key in data if key != "hint"}):
        with pytest.raises(NoReport, match="these fields and no others"):
            parsed(json.dumps(more).encode())


@pytest.mark.parametrize(
    "typed, kept",
    [
        ("  Ada \t Lovelace\n", "Ada Lovelace"),
        ("A\x1b[31mda\x07\x00", "A[31mda"),
        ("\u202eadA\u2066", "adA"),
        ("Ada\ud800", "Ada"),
        ("Zoe\u0308", "Zoë"),
        ("x" * 500, "x" * NAME_LENGTH),
        ("\u200b\u2028\ufeff", ""),
        (EVIL, EVIL[:NAME_LENGTH].strip()),
    ],
)
def test_a_name_is_one_line_without_control_characters(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept == clean_name(kept)


def test_a_token_is_taken_as_people_type_it() -> None:
    token = new_token()
    assert re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){2}", token) and token != new_token()
    assert plain_token(f" {token.upper()} ") == plain_token(token.replace("-", "")) == plain_token(token)
    assert not any(plain_token(wrong) for wrong in ("", "abc", token + "a", "0" * 12, "ä" * 12))


# --- what is kept


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    return tmp_path / "room.sqlite3"


@pytest.fixture(name="database")
def database_fixture(path: Path) -> Iterator[RoomDatabase]:
    made = RoomDatabase(path)
    yield made
    made.close()


def statuses(database: RoomDatabase, *reports: RoomReport, now: float = 0.0) -> list[HTTPStatus]:
    return [saved.status for saved in database.save(reports, now)]


def test_how_long_is_by_the_room_s_clock_since_the_last_task_that_was_passed(database: RoomDatabase) -> None:
    """A task that is broken for a moment makes nobody less stuck."""
    for number, (now, task) in enumerate([(10, 1), (20, 2), (30, 1), (40, 2), (50, 2)], 1):
        assert statuses(database, report(number=number, task=task, minutes=7), now=now) == [204]
    (standing,) = database.standings()
    assert (standing.task, standing.through, standing.since, standing.seen) == (2, 1, 20, 50)
    assert statuses(database, done(number=6), now=60) == [204]
    (standing,) = database.standings()
    assert (standing.task, standing.through, standing.since) == (None, TASKS, 60)


def test_a_night_between_two_reports_makes_nobody_stuck(database: RoomDatabase) -> None:
    for number, now in enumerate([0, 600, 100_600, 101_200]):
        statuses(database, report(number=number), now=now)
    (standing,) = database.standings()
    assert standing.seen - standing.since == 1200


def test_a_report_that_was_recorded_can_t_be_sent_again(database: RoomDatabase) -> None:
    assert statuses(database, report(number=5), report(number=5), report(number=4)) == [204, 409, 409]
    assert database.save([report(number=3)], 0.0)[0].latest == 5


def test_two_of_one_name_stay_apart(database: RoomDatabase) -> None:
    assert statuses(database, report(), report(BOB, task=2)) == [204, 204]
    shown = view(database.standings(), 0.0)["learners"]
    assert [one["task"] for one in shown] == [1, 2]
    assert [one["number"] for one in shown] == [1, 2], "both are marked"
    assert ADA not in json.dumps(shown), "an id is nobody else's to know"


def test_a_full_room_keeps_those_who_are_in_it(
    database: RoomDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_database, "MOST_LEARNERS", 2)
    ids = [character * 32 for character in "abc"]
    assert statuses(database, *(report(id) for id in ids)) == [204, 204, 507]
    assert statuses(database, report(number=2)) == [204]
    assert database.count() == 2


def test_everything_is_there_after_a_restart(database: RoomDatabase, path: Path) -> None:
    statuses(database, report(), report(BOB, name="Bob"), report(BOB, 2, "Bob", lab=2), now=7)
    again = RoomDatabase(path)
    assert again.standings() == database.standings() and len(again.standings()) == 3
    assert again.token() == database.token()
    again.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_room_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite3"
    text.write_text("not a database " * 100, encoding="utf-8")
    made = RoomDatabase(tmp_path / "real.sqlite3")
    made._connection.execute(f"VACUUM INTO '{other}'")
    made._connection.execute("PRAGMA user_version")
    made.close()
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA application_id = 1")
    for path in (text, other, tmp_path):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises((Refusal, OSError)):
            RoomDatabase(path)
        assert (path.read_bytes() if path.is_file() else b"") == before


def test_the_projector_counts_those_who_are_through(database: RoomDatabase) -> None:
    statuses(database, done(), done(number=2, lab=2), report(BOB, task=3), report("c" * 32))
    first, second = view(database.standings(), 0.0)["labs"]
    assert [task["through"] for task in first["tasks"]] == [2, 2, 1, 1]
    assert (first["learners"], second["learners"], second["tasks"][0]["through"]) == (3, 1, 1)


def test_a_check_of_another_version_is_shown_by_its_name(database: RoomDatabase) -> None:
    statuses(database, report(check="test_task9_of_tomorrow", task=9))
    (shown,) = view(database.standings(), 0.0)["learners"]
    assert (shown["check_title"], shown["task_title"], shown["through"]) == (
        "test_task9_of_tomorrow",
        "",
        TASKS,
    )


# --- export and wipe


def test_an_export_is_no_formula_and_has_no_ids(database: RoomDatabase, path: Path, tmp_path: Path) -> None:
    statuses(database, report(name="=HYPERLINK(1)"), report(BOB, name="Bob;-1+1"), now=0)
    assert "2 rows" in room_export.write(path, tmp_path / "room.csv")
    text = (tmp_path / "room.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["'=HYPERLINK(1)", "Bob;'-1+1"]
    assert rows[0]["since"] == "1970-01-01T00:00:00+00:00" and ADA not in text
    room_export.write(path, tmp_path / "room.json")
    data = json.loads((tmp_path / "room.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in data] == ["=HYPERLINK(1)", "Bob;-1+1"]
    assert [sorted(one) == sorted(rows[0]) for one in data] == [True, True]
    for taken in ("room.csv", "room.txt"):
        with pytest.raises(Refusal):
            room_export.write(path, tmp_path / taken)
    assert (tmp_path / "room.csv").read_text(encoding="utf-8") == text


def test_a_wipe_asks_for_a_word_and_takes_everything(
    database: RoomDatabase, path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses(database, report())
    token = database.token()
    database.close()
    words = ["room", "--database", str(path), "--wipe"]
    monkeypatch.setattr("sys.stdin", io.StringIO("wipe\n"))  # no terminal: nobody reads the question
    assert main(words) == 2 and "--wipe --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in ("yes", "", EOFError()):
        monkeypatch.setattr("builtins.input", Mock(side_effect=[answer]))
        assert main(words) == 2 and "Nothing was deleted." in capsys.readouterr().err
    assert path.exists()
    with room_database.held(path):
        assert main([*words, "--yes"]) == 2 and "is running" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda question: "wipe")
    assert main(words) == 0 and "1 learner, and the token" in capsys.readouterr().out
    assert not [one for one in path.parent.iterdir() if one.name != f"{path.name}.lock"]
    assert main(words) == 2 and "There is no room" in capsys.readouterr().err
    again = RoomDatabase(path)
    assert again.token() != token and again.count() == 0
    again.close()


def test_an_address_that_is_none_or_taken_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["room", "--database", str(path), "--page-port", "0"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main([*words, "--bind", "127.0.0.1", "--port", port]) == 2
        assert "Address already in use" in capsys.readouterr().err
    assert main([*words, "--bind", "256.1.1.1", "--port", "0"]) == 2
    assert "The room can't listen on 256.1.1.1:0" in capsys.readouterr().err
    for number in ("70000", "-1"):
        assert main([*words, f"--port={number}"]) == 2
        assert f"--port {number} can't be used" in capsys.readouterr().err
    assert not path.exists()


# --- what it answers


@contextlib.asynccontextmanager
async def open_room(database: RoomDatabase) -> AsyncIterator[tuple[Room, httpx.AsyncClient]]:
    """A room's report application without a server, and its one writer."""
    room = Room(database, "make lab-1 …")
    writing = asyncio.create_task(room.write())
    transport = httpx.ASGITransport(report_application(room))
    async with httpx.AsyncClient(transport=transport, base_url="http://room") as client:
        yield room, client
    writing.cancel()
    room._thread.shutdown()


async def post(client: httpx.AsyncClient, body: Any, token: str, signed: str | None = None) -> httpx.Response:
    signed = signature(body, token) if signed is None else signed
    return await client.post("/reports", content=body, headers={SIGNATURE: signed})


def test_what_is_answered_is_kept_and_what_a_stranger_sends_is_not_read(database: RoomDatabase) -> None:
    token = database.token()

    async def ask() -> None:
        async with open_room(database) as (room, client):
            good = report().as_bytes()
            assert (await post(client, good, token)).status_code == 204
            again = await post(client, good, token)
            assert (again.status_code, again.json()) == (409, {"number": 1})
            other = report(number=2).as_bytes()
            for wrong in ("", "sha256=", "sha256=" + "0" * 64, signature(other, new_token()), "x" * 9):
                assert (await post(client, other, token, wrong)).status_code == 401
            assert (await post(client, b"{not json", "x")).status_code == 401, "the signature comes first"
            assert "not JSON" in (await post(client, b"{not json", token)).text
            answers = [await post(client, report(number=9, lab=88).as_bytes(), token), again]
            assert answers[0].status_code == 422
            assert all(one.headers["connection"] == "close" for one in answers)
            assert room.database.count() == 1

    asyncio.run(ask())


def test_no_more_is_read_than_a_report_has(database: RoomDatabase) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield b" " * 512

    async def ask() -> None:
        async with open_room(database) as (_, client):
            whole = b" " * (MOST_BYTES + 1)
            assert (await post(client, whole, database.token())).status_code == 413
            assert (await client.post("/reports", content=endless())).status_code == 413
            long = {"content-length": "9" * 30}
            assert (await client.post("/reports", content=b"x", headers=long)).status_code == 413

    asyncio.run(ask())
    assert read < 10


def test_a_disk_that_is_full_is_said_and_nothing_is_promised(
    database: RoomDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    token = database.token()

    async def ask() -> None:
        async with open_room(database) as (room, client):
            room.say = said.append

            def full(*_: Any) -> Any:
                raise sqlite3.OperationalError("database or disk is full")

            with monkeypatch.context() as patch:
                patch.setattr(database, "save", full)
                assert (await post(client, report().as_bytes(), token)).status_code == 503
                assert "disk is full" in json.loads(await room.state())["trouble"]
            assert (await post(client, report().as_bytes(), token)).status_code == 204

    asyncio.run(ask())
    assert len(said) == 2 and "disk is full" in said[0] and "kept again" in said[1]


def test_the_host_s_pages_are_for_this_machine_and_have_the_strict_policy(database: RoomDatabase) -> None:
    room = Room(database, f"make lab-1 {EVIL}")

    async def ask() -> None:
        transport = httpx.ASGITransport(host_application(room))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as client:
            for path in ("/room/", "/room/projector"):
                answer = await client.get(path)
                policy = answer.headers["content-security-policy"]
                assert policy.startswith("default-src 'none'; script-src 'nonce-") and "unsafe" not in policy
                assert EVIL not in answer.text and "&lt;img src=x" in answer.text
            for path in ("/", "/room/assets/../room_server.py", "/reports", "/room/reports"):
                assert (await client.get(path)).status_code == 404
            rebound = await client.get("/room/", headers={"host": "rebound.example"})
            assert rebound.status_code == 400 and "Learners" not in rebound.text

    asyncio.run(ask())


# --- a room that runs


@dataclass
class Running:
    process: subprocess.Popen[str]
    greeting: str
    port: int
    token: str
    page: str

    def sender(self) -> Sender:
        return Sender("127.0.0.1", self.port, self.token)

    def state(self) -> dict[str, Any]:
        """The first state of the stream."""
        with httpx.stream("GET", f"{self.page}events", timeout=SECONDS) as answer:
            line = next(line for line in answer.iter_lines() if line.startswith("data: "))
        state: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return state


@contextlib.contextmanager
def running(database: Path, port: int = 0, page: int = 0) -> Iterator[Running]:
    """`workshop room`, on ports of its own; it is killed at the end, if it is still there."""
    words = ["--bind", "127.0.0.1", "--port", str(port), "--page-port", str(page)]
    words += ["--database", str(database)]
    process = subprocess.Popen(
        [sys.executable, "-m", "workshop", "room", *words],
        cwd=ROOT,
        env=judging.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        greeting = "".join(iter(lambda: _line(process), ""))
        found = re.search(r"ROOM=127\.0\.0\.1:(\d+) TOKEN=(\S+)", greeting)
        url = re.search(r"machine\): +(\S+)", greeting)
        assert found and url, greeting
        yield Running(process, greeting, int(found[1]), found[2], url[1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _line(process: subprocess.Popen[str]) -> str:
    """Lines up to the one that says how the room ends."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return "" if line.startswith("Ctrl-C ") else line


def test_a_killed_room_goes_on_where_it_was(path: Path) -> None:
    with running(path) as room:
        assert str(path) in room.greeting
        assert room.sender().send(report(), SECONDS) is Answer.KEPT
        before = room.state()["learners"]
        room.process.send_signal(signal.SIGKILL)
        room.process.wait()
    with running(path, room.port) as again:
        assert again.token == room.token and "knows 1 learner already" in again.greeting
        assert again.state()["learners"] == before
        with pytest.raises(Refusal, match="is running"), room_database.held(path):
            pass
        assert Sender("127.0.0.1", again.port, new_token()).send(report(), SECONDS) is Answer.WRONG_TOKEN
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(SECONDS) == 0
        assert again.process.stdout is not None and "has ended" in again.process.stdout.read()


@pytest.fixture(name="room", scope="module")
def room_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("room") / "room.sqlite3") as made:
        yield made


def known(room: Running, name: str) -> list[dict[str, Any]]:
    return [learner for learner in room.state()["learners"] if learner["name"] == name]


def test_who_opens_connections_and_says_nothing_keeps_nobody_out(room: Running) -> None:
    with contextlib.ExitStack() as exits:
        for _ in range(MOST_CONNECTIONS + 50):
            idle = exits.enter_context(socket.create_connection(("127.0.0.1", room.port)))
        idle.sendall(b"POST /reports HTTP/1.1\r\nHost: x\r\nContent-Length: 1")
        assert room.sender().send(report("1" * 32, name="One"), SECONDS) is Answer.KEPT
        assert len(known(room, "One")) == 1


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


def make(checkout: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words],
        cwd=checkout,
        env={**judging.environment(), "MODE": "embedded", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.whole("rooms")
def test_make_lab_tells_the_room_and_says_what(checkout: Path, room: Running) -> None:
    words = ["lab-1", f"ROOM=127.0.0.1:{room.port}", f"TOKEN={room.token}", f"NAME=O'{EVIL[:20]}"]
    done = make(checkout, *words)
    assert done.returncode == 0, done.stderr
    (shown,) = re.findall(r"^    (\{.*\})$", done.stdout, re.MULTILINE)
    sent = parsed(shown.encode())
    assert (sent.lab, sent.verdict) == (1, None) and room.token not in shown
    (learner,) = known(room, clean_name(f"O'{EVIL[:20]}"))
    assert (learner["task"], learner["check"], learner["verdict"]) == (1, FIRST, "FAIL")
    refused = make(checkout, "lab-1", words[1], f"TOKEN={new_token()}", "FROM=solution")
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
    assert "join" not in make(ROOT, "-n", "lab-1", **theirs).stdout
    shown = make(ROOT, "--eval", "shown: ; @env", "shown", **theirs).stdout
    assert "WORKSHOP_ROOM=\n" in shown and "10.0.0.1" not in shown and "DESKTOP" not in shown
    assert "launch.sh join 1 &&" in make(ROOT, "-n", "lab-1", "NAME=Ada").stdout


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
        done = make(checkout, "lab-1", *words, **env)
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


# --- in a browser


pages = pytest.mark.whole("rooms")


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Browser]:
    with browser() as started:
        yield started


def opened(chromium: Browser, url: str, width: int, dark: bool = False) -> Tab:
    tab = chromium.tab()
    tab.look(width, dark)
    tab.open(url)
    tab.await_true("document.querySelectorAll('tbody tr, .through-list li').length > 0")
    return tab


@pages
@needs_browser
@pytest.mark.parametrize("width, dark", [(360, False), (360, True), (1440, False), (1440, True)])
@pytest.mark.parametrize("view", ["", "projector"])
def test_the_pages_show_text_and_fit(
    chromium: Browser, path: Path, view: str, width: int, dark: bool
) -> None:
    with running(path) as room:
        names = {
            "a": EVIL[:NAME_LENGTH],
            "b": "x" * NAME_LENGTH,
            "c": "Ada",
            "d": "Ada",
            "e": "Z" + "\u0334" * 39,
        }
        for letter, name in names.items():
            assert (
                room.sender().send(report(letter * 32, name=name, verdict="TIMEOUT"), SECONDS) is Answer.KEPT
            )
        room.sender().send(done(id="f" * 32, name="Grace"), SECONDS)
        tab = opened(chromium, f"{room.page}{view}", width, dark)
        assert tab.value("document.querySelectorAll('main script, main img').length") == 0
        assert "taken" not in tab.value("document.title")
        assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        text = tab.shown()
        if view:
            assert f"1 of {len(names) + 1}" in text and "Ada" not in text and "TOKEN=" in text
        else:
            assert EVIL[:NAME_LENGTH] in text and "no. 3" in text and "no. 4" in text and "through" in text
        assert not tab.problems


@pages
@needs_browser
def test_a_page_is_live_keeps_its_place_and_survives_a_restart(chromium: Browser, path: Path) -> None:
    rows = "[...document.querySelectorAll('tbody tr')].map(row => row.querySelector('.person').textContent)"
    with running(path) as room:
        room.sender().send(report(), SECONDS)
        room.sender().send(report(BOB, name="Bob"), SECONDS)
        tab = opened(chromium, room.page, 1440)
        tab.await_true(f"{rows}.join() === 'Ada,Bob'")
        tab.value("window.bob = document.querySelectorAll('tbody tr')[1], window.sameDocument = true")
        room.sender().send(done(number=2), SECONDS)
        tab.await_true(f"{rows}.join() === 'Bob,Ada'")
        assert tab.value("document.querySelector('tbody tr') === window.bob"), "it was not drawn anew"
        tab.value("state.now += 3600, draw()")
        assert tab.value("document.querySelectorAll('tr.quiet').length") == 2
        assert "silent for 60 min" in tab.shown()
        page = int(room.page.split(":")[2].split("/")[0])
    tab.await_true("document.getElementById('status').className === 'lost'")
    with running(path, page=page) as room:
        room.sender().send(report("c" * 32, name="Grace"), SECONDS)
        tab.await_true(f"{rows}.includes('Grace')")
        assert tab.value("window.sameDocument") and not tab.problems
