"""Lab 5's reference, attacked: what its NOTES promise, with real and hostile clients and wsgiref.validate."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from workshop.judge import http_wire
from workshop.paths import APPS, ROOT
from workshop.run import tcp_ports

SERVER = ROOT / "solutions" / "05-wsgi-server" / "server.py"
SECONDS = 60.0  # for what happens at once on an idle machine
VALIDATED = """
from wsgiref.validate import validator

def inner(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"wrote ")
    return Body([environ["PATH_INFO"].encode("latin-1"), b" ", body])

class Body:
    def __init__(self, chunks):
        self.chunks = iter(chunks)
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.chunks)
    def close(self):
        pass

application = validator(inner)
"""


class Running:
    """The reference serving one application, and what it printed."""

    def __init__(self, folder: Path, application: str, *options: str) -> None:
        self.port = tcp_ports.free_port()
        words = [sys.executable, str(SERVER), application, "--port", str(self.port), *options]
        env = {**os.environ, "PYTHONPATH": str(APPS), "PYTHONUNBUFFERED": "1"}
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
        await_true(lambda: "Listening" in self.said or self.process.poll() is not None)

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, receive_buffer: int | None = None) -> http_wire.Wire:
        return http_wire.Wire("127.0.0.1", self.port, SECONDS, receive_buffer)

    def ask(self, data: bytes, method: str = "GET") -> http_wire.Response:
        with self.connect() as connection:
            connection.send(data)
            return connection.response(method)


def await_true(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def running(folder: Path, application: str, *options: str) -> Iterator[Running]:
    one = Running(folder, application, *options)
    try:
        yield one
    finally:
        one.process.terminate()
        one.process.wait(SECONDS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    options = ("--threads", "4", "--keep-alive", "30", "--time-out", "2")
    with running(tmp_path_factory.mktemp("behaviours"), "wsgi_behaviours:application", *options) as one:
        yield one


def test_wsgiref_validate_finds_nothing_on_either_side(tmp_path: Path) -> None:
    (tmp_path / "validated.py").write_text(VALIDATED, encoding="utf-8")
    with running(tmp_path, "validated:application") as one, httpx.Client(base_url=one.url) as client:
        for method in ("GET", "HEAD", "POST", "PUT"):
            content = b"body" if method in ("POST", "PUT") else b""
            answer = client.request(method, "/caf%C3%A9", content=content)
            assert answer.status_code == 200, one.said
            body = b"wrote /caf\xc3\xa9 " + content
            assert answer.content == (b"" if method == "HEAD" else body)
        assert "AssertionError" not in one.said
        assert "WSGIWarning" not in one.said


def test_the_second_start_response_forgets_the_first_ones_headers(server: Running) -> None:
    """gunicorn 27 sends both; PEP 3333, "The start_response() Callable": they are replaced."""
    answer = server.ask(http_wire.request_bytes("GET", "/do/start?how=replace&name=Ada"))
    assert answer.status == 503
    assert answer.get("X-First") is None


def test_a_body_cut_short_is_no_shorter_body(server: Running) -> None:
    with server.connect() as connection:
        fields = [("Content-Length", "100")]
        connection.send(http_wire.request_bytes("POST", "/do/read?how=all", fields) + b"half")
        connection.half_close()
        assert connection.read_all() == b""


def test_an_answer_is_given_to_a_client_that_is_done_sending(server: Running) -> None:
    with server.connect() as connection:
        connection.send(http_wire.request_bytes("GET", "/do/ignore?name=Ada"))
        connection.half_close()
        assert connection.response().json() == {"ignored": "Ada"}


def test_slow_heads_hold_no_thread_and_get_a_408(server: Running) -> None:
    """Forty clients in the middle of their head, and four threads."""
    with contextlib.ExitStack() as open_ones:
        slow = [open_ones.enter_context(server.connect()) for _ in range(40)]
        for connection in slow:
            connection.send(b"GET / HTTP/1.1\r\nHost:")
        assert server.ask(http_wire.request_bytes("GET", "/do/ignore?name=Ada")).status == 200
        for connection in slow:
            assert connection.response().status == 408
            assert connection.read() == b""


def test_a_drip_does_not_extend_the_limit_of_a_head(server: Running) -> None:
    with server.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\n")
        with pytest.raises(http_wire.NoAnswer):  # it has gone, long before the head's length was too much
            for _ in range(200):
                connection.send(b"X-A: b\r\n")
                time.sleep(0.1)


def test_a_reader_that_takes_nothing_is_left(server: Running) -> None:
    """Its thread is free again, and the iterable is closed, after --time-out."""
    with server.connect(receive_buffer=4096) as connection:
        connection.send(http_wire.request_bytes("GET", "/do/endless?say=stuck"))
        deadline = time.monotonic() + SECONDS
        notes: list[str] = []
        while "closed" not in notes and time.monotonic() < deadline:
            notes = server.ask(http_wire.request_bytes("GET", "/do/notes?say=stuck")).json()
            time.sleep(0.1)
        assert notes == ["closed"]


CHUNKED = b"POST /do/read?how=all HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ATTACKS = {
    "both framings": CHUNKED.replace(b"Host: x", b"Host: x\r\nContent-Length: 4") + b"0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "no such coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 4\r\n\r\nabc",
    "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "an underscored length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\nabc",
    "a bare LF": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    "a bare LF in a line": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\nX-B: c\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rc\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an expectation": b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n",
    "a bad chunk": CHUNKED + b"-3\r\nabc\r\n",
    "a long chunk": CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"3\r\nabcXX0\r\n\r\n",
    "a request for a trailer": CHUNKED + b"0\r\nGET /do/ignore?name=next HTTP/1.1\r\nHost: x\r\n\r\n",
    "a trailer without a colon": CHUNKED + b"0\r\nX-A\r\n\r\n",
    "a space before a trailer's colon": CHUNKED + b"0\r\nX-A : b\r\n\r\n",
    "a bare LF in a trailer": CHUNKED + b"0\r\nX-A: b\nX-B: c\r\n\r\n",
    "a NUL in a trailer": CHUNKED + b"0\r\nX-A: b\x00c\r\n\r\n",
    "a long trailer": CHUNKED + b"0\r\nX-A: " + b"a" * 400_000 + b"\r\n\r\n",
    "long trailers": CHUNKED + b"0\r\n" + b"X-A: b\r\n" * 50_000 + b"\r\n",
    "a user in a target": b"GET http://ada@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long field": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
}
STATUSES = {"HTTP/2.0": 505, "an expectation": 417, "a long target": 414, "a long field": 431}
STATUSES["long trailers"] = 431


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_answered_once_and_closed(server: Running, attack: str) -> None:
    with server.connect() as connection:
        with contextlib.suppress(http_wire.NoAnswer):  # of a long one, the end is not waited for
            connection.send(ATTACKS[attack] + http_wire.request_bytes("GET", "/do/ignore?name=smuggled"))
        answer = connection.response()
        assert answer.status == STATUSES.get(attack, 400)
        assert answer.get("Connection") == "close"
        assert connection.read() == b""
        assert b"smuggled" not in connection.received


def test_good_trailers_are_read_away(server: Running) -> None:
    with server.connect() as connection:
        data = CHUNKED + b"3;a=b\r\nabc\r\n0\r\nX-Sum: \xe9\r\nX-Empty:\r\n\r\n"
        connection.send(data + http_wire.request_bytes("GET", "/do/ignore?name=next"))
        assert connection.response("POST").json()["pieces"] == ["abc"]
        assert connection.response().json() == {"ignored": "next"}


TOLERANT = """
def application(environ, start_response):
    for attempt in range(2):
        try:
            environ["wsgi.input"].read()
        except Exception:
            pass
    start_response("200 OK", [("Content-Length", "8")])
    return [b"whatever"]
"""


@pytest.mark.parametrize("rest", [b"3\r\nabcdef\r\n0\r\n\r\n", b"0\r\nX-A\r\n0\r\n\r\n", b"x\r\n0\r\n\r\n"])
def test_nothing_is_read_after_a_bad_chunk_whatever_the_application_catches(
    tmp_path: Path, rest: bytes
) -> None:
    (tmp_path / "tolerant.py").write_text(TOLERANT, encoding="utf-8")
    with running(tmp_path, "tolerant:application") as one, one.connect() as connection:
        connection.send(CHUNKED + rest + http_wire.request_bytes("GET", "/smuggled"))
        assert connection.read_all().count(b"HTTP/1.1") == 1


DRIPS = {
    "a body": http_wire.request_bytes("POST", "/do/read?how=all", [("Content-Length", "1000")]),
    "a body that nobody reads": http_wire.request_bytes("POST", "/do/ignore", [("Content-Length", "1000")]),
    "a chunk": CHUNKED + b"fff\r\n",
    "a chunk's size": CHUNKED + b"3;",
    "a trailer": CHUNKED + b"0\r\nX-A: ",
}


@pytest.mark.parametrize("drip", DRIPS)
def test_a_drip_holds_no_thread_longer_than_the_limit(server: Running, drip: str) -> None:
    """A byte now and then does not extend --time-out: here 2 s, and a thread for each client."""
    with contextlib.ExitStack() as open_ones:
        dripping = [open_ones.enter_context(server.connect()) for _ in range(4)]
        for connection in dripping:
            connection.send(DRIPS[drip])
        began = time.monotonic()
        while dripping and time.monotonic() - began < SECONDS:
            for connection in list(dripping):
                try:
                    connection.send(b"x")
                except http_wire.NoAnswer:
                    dripping.remove(connection)
            time.sleep(0.1)
        assert not dripping
        assert server.ask(http_wire.request_bytes("GET", "/do/ignore?name=Ada")).status == 200


def test_a_body_that_comes_steadily_is_waited_for(server: Running) -> None:
    """It takes longer than --time-out as a whole."""
    pieces = [b"x" * 1500] * 8
    with server.connect() as connection:
        fields = [("Content-Length", str(sum(map(len, pieces))))]
        connection.send(http_wire.request_bytes("POST", "/do/read?how=all", fields))
        for piece in pieces:
            time.sleep(0.4)
            connection.send(piece)
        assert connection.response("POST").json()["pieces"] == ["x" * 1500 * 8]


def test_a_head_does_not_leave_with_an_empty_chunk(server: Running) -> None:
    """gunicorn 27 sends it; PEP 3333, "The start_response() Callable": with the first that isn't."""
    target = "/do/answer?chunk=&chunk=Ada&raise_at=1"
    answer = server.ask(http_wire.request_bytes("GET", target))
    assert answer.status == 500, "the head had not left when the application raised"


def test_a_body_that_is_too_short_ends_a_connection_that_was_to_be_kept(server: Running) -> None:
    with server.connect() as connection:
        connection.send(http_wire.request_bytes("GET", "/do/answer?chunk=abc&header=Content-Length:5"))
        assert connection.read_all().endswith(b"\r\n\r\nabc")


def test_there_is_one_date(server: Running) -> None:
    """RFC 9110 §6.6.1: the server's, or the application's own."""
    own = server.ask(http_wire.request_bytes("GET", "/do/ignore")).all("Date")
    assert len(own) == 1
    assert parsedate_to_datetime(own[0]).tzinfo is not None
    day = "Mon, 05 Jan 2026 10:00:00 GMT"
    target = f"/do/answer?chunk=a&header=Date:{quote(day)}"
    assert server.ask(http_wire.request_bytes("GET", target)).all("Date") == [day]


def test_a_status_without_a_reason_keeps_its_space(server: Running) -> None:
    """RFC 9112 §4: status-line = HTTP-version SP status-code SP [ reason-phrase ]."""
    with server.connect() as connection:
        connection.send(http_wire.request_bytes("GET", "/do/answer?chunk=a&status=200"))
        connection.response()
        assert connection.received.startswith(b"HTTP/1.1 200 \r\n")


def test_a_client_that_still_sends_gets_an_end_and_no_reset(server: Running) -> None:
    """RFC 9112 §9.6: first half of the connection is closed, then what still comes is read away."""
    with server.connect() as connection:
        connection.send(
            http_wire.request_bytes("POST", "/do/ignore?name=Ada", [("Content-Length", "3000000")])
        )
        for _ in range(5):
            connection.send(b"x" * 100_000)
        assert connection.response("POST").json() == {"ignored": "Ada"}
        assert connection.read() == b""
        connection.send(b"x" * 100_000)


def test_equal_lengths_and_an_absolute_target_are_understood(server: Running) -> None:
    data = b"POST http://tasks.example/do/read?how=all HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"
    assert server.ask(data, "POST").json()["pieces"] == ["abc"]
    said = server.ask(b"GET http://tasks.example HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").json()
    assert said["environ"]["HTTP_HOST"] == "tasks.example"
    assert said["environ"]["PATH_INFO"] == "/"


def test_pipelined_requests_are_answered_when_they_came_with_a_body(server: Running) -> None:
    """What arrives together with the end of a body may hold whole requests: nothing else will come."""
    get = http_wire.request_bytes("GET", "/do/ignore?name=next")
    post = http_wire.request_bytes("POST", "/do/read?how=all", [("Content-Length", "60000")])
    with server.connect() as connection:
        connection.send(post)
        time.sleep(0.05)
        connection.send(b"x" * 60_000 + get + get)
        assert len(connection.response("POST").json()["pieces"][0]) == 60_000
        assert [connection.response().json()["ignored"] for _ in range(2)] == ["next", "next"]


def test_a_large_unread_body_ends_the_connection_but_not_the_answer(server: Running) -> None:
    with server.connect() as connection:
        connection.send(
            http_wire.request_bytes("POST", "/do/ignore?name=Ada", [("Content-Length", "3000000")])
        )
        with contextlib.suppress(http_wire.NoAnswer):
            connection.send(b"x" * 3_000_000)
        assert connection.response("POST").json() == {"ignored": "Ada"}


@pytest.mark.parametrize("header", ["Content-Length:-1", "Content-Length:+1", "Content-Length:1_0"])
def test_a_content_length_that_is_no_number_is_refused(server: Running, header: str) -> None:
    target = f"/do/answer?chunk=a&header={header.replace('+', '%2B')}"
    assert server.ask(http_wire.request_bytes("GET", target)).status == 500


def test_two_content_lengths_are_refused(server: Running) -> None:
    target = "/do/answer?chunk=a&header=Content-Length:1&header=Content-Length:2"
    assert server.ask(http_wire.request_bytes("GET", target)).status == 500


def test_an_interim_status_is_no_answer(server: Running) -> None:
    assert server.ask(http_wire.request_bytes("GET", "/do/answer?chunk=a&status=100+Continue")).status == 500


def test_httpx_keeps_its_connection(server: Running) -> None:
    with httpx.Client(base_url=server.url) as client:
        for number in range(20):
            answer = client.post("/do/read?how=all", content=(piece for piece in [b"a", b"b" * number]))
            assert answer.json()["pieces"] == ["a" + "b" * number]
            assert client.get("/do/answer?chunk=a&chunk=b").text == "ab"
        pool = client._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1


def test_many_clients_get_their_own_answers(server: Running) -> None:
    wrong: list[str] = []

    def visit(who: int) -> None:
        with httpx.Client(base_url=server.url) as client:
            for number in range(25):
                name = f"{who} {number}"
                if client.get("/do/ignore", params={"name": name}).json() != {"ignored": name}:
                    wrong.append(name)

    clients = [threading.Thread(target=visit, args=[who]) for who in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not wrong


SLOW = """
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("begun", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "3")])
    return [b"Ada"]
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_finished_after_a_signal(tmp_path: Path, number: int) -> None:
    """Idle connections hold nothing up, and the process ends with exit code 0."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    with (
        running(tmp_path, "slow:application") as one,
        one.connect() as idle,
        one.connect() as busy,
    ):
        idle.send(http_wire.request_bytes("GET", "/"))
        assert idle.response().status == 200
        busy.send(http_wire.request_bytes("GET", "/slow"))
        await_true((tmp_path / "begun").exists)
        one.process.send_signal(number)
        await_true(lambda: not tcp_ports.is_listening("127.0.0.1", one.port))
        (tmp_path / "go").touch()
        assert busy.response().text == "Ada"
        assert one.process.wait(SECONDS) == 0
        assert "Traceback" not in one.said


def test_an_import_error_says_what_is_wrong(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SERVER), "no_such_module:application", "--port", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "No module named 'no_such_module'" in done.stderr


def test_given_parts_are_the_same_everywhere() -> None:
    """http1.py and command_line.py are given: the learner's and the solution's are one file."""
    lab = ROOT / "labs" / "05-wsgi-server"
    for name in ("http1.py", "command_line.py"):
        assert SERVER.with_name(name).read_text(encoding="utf-8") == (lab / name).read_text(encoding="utf-8")
