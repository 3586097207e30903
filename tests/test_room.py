"""The room: what it takes, keeps and answers, and what a stranger can't do."""

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
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from tests.rooms import (
    ADA,
    BOB,
    EVIL,
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
from workshop.cli import main
from workshop.errors import Refusal
from workshop.room import room_database, room_export
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

__all__ = ["path_fixture", "room_fixture"]


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


def test_a_full_room_is_said_once(database: RoomDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_database, "MOST_LEARNERS", 1)
    said: list[str] = []

    async def ask() -> None:
        async with open_room(database) as (room, client):
            room.say = said.append
            for number in range(1, 4):
                for id, status in ((ADA, 204), (BOB, 507)):
                    answer = await post(client, report(id, number).as_bytes(), database.token())
                    assert answer.status_code == status
            assert "full" in json.loads(await room.state())["trouble"]

    asyncio.run(ask())
    assert len(said) == 1 and "new learners are turned away" in said[0]


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


def test_who_opens_connections_and_says_nothing_keeps_nobody_out(room: Running) -> None:
    with contextlib.ExitStack() as exits:
        for _ in range(MOST_CONNECTIONS + 50):
            idle = exits.enter_context(socket.create_connection(("127.0.0.1", room.port)))
        idle.sendall(b"POST /reports HTTP/1.1\r\nHost: x\r\nContent-Length: 1")
        assert room.sender().send(report("1" * 32, name="One"), SECONDS) is Answer.KEPT
        assert len(known(room, "One")) == 1
