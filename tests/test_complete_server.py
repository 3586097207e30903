"""The references of labs 11, 12, 14 and 15 together are one ASGI server: real frameworks and clients, TLS."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.exceptions
import websockets.sync.client

from workshop.paths import APPS, LABS, SOLUTIONS
from workshop.run import nginx_config, process, tcp_ports

MAIN = SOLUTIONS / "15-uvicorn-main" / "main.py"
STANDS_ON = ("13-websockets", "11-asgi-server", "12-lifespan", "14-websocket-frames", "18-mini-framework")
SECONDS = 60.0  # for what happens at once on an idle machine

STARLETTE = """
import contextlib

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute


@contextlib.asynccontextmanager
async def lifespan(app):
    print("opened", flush=True)
    yield {"ink": "blue"}
    print("closed", flush=True)


async def body(request):
    data = await request.body()
    return JSONResponse({"ink": request.state.ink, "length": len(data), "scheme": request.url.scheme})


async def shout(websocket):
    await websocket.accept(subprotocol="shout")
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text.upper()} in {websocket.state.ink}")


app = Starlette(
    routes=[Route("/body", body, methods=["POST"]), WebSocketRoute("/shout", shout)], lifespan=lifespan
)
"""

FASTAPI = """
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

app = FastAPI()


class Task(BaseModel):
    title: str
    done: bool = False


@app.post("/tasks/{number}", status_code=201)
async def create(number: int, task: Task):
    return {"number": number, **task.model_dump()}


@app.websocket("/count/{start}")
async def count(websocket: WebSocket, start: int):
    await websocket.accept()
    while True:
        start += len(await websocket.receive_bytes())
        await websocket.send_json({"count": start})
"""

DOOR = """
import asyncio

from starlette.applications import Starlette
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import WebSocketRoute


async def pieces():
    for word in ("no ", "ticket, ", "no tea"):
        yield word
        await asyncio.sleep(0)


RESPONSES = {
    "text": lambda: Response("no ticket", 401, headers={"WWW-Authenticate": "Bearer"}),
    "stream": lambda: StreamingResponse(pieces(), 404, media_type="text/plain"),
    "file": lambda: FileResponse("page.py", 451),
    "empty": lambda: Response(status_code=204),
}


async def refuse(websocket):
    await websocket.receive()
    await websocket.send_denial_response(RESPONSES[websocket.path_params["how"]]())
    print(await websocket.receive(), flush=True)


async def leave_and_see(websocket):
    await websocket.accept()
    event = await websocket.receive()
    print(event["type"], event["code"], flush=True)
    match websocket.path_params["how"]:
        case "close":
            await websocket.close()
            print("closed", flush=True)
        case "send":
            await websocket.send_text("Ada?")
        case "raise":
            raise LookupError("its own")


async def raw(scope, receive, send):
    await receive()
    print(sorted(scope["extensions"]), flush=True)
    start = {"type": "websocket.http.response.start", "status": 403, "headers": [(b"content-length", b"9")]}
    await send(start)
    try:
        await send({"type": "websocket.accept"})
    except RuntimeError as error:
        print("RuntimeError:", error, flush=True)
    await send({"type": "websocket.http.response.body", "body": b"half", "more_body": True})
    raise LookupError("half way")


async def app(scope, receive, send):
    if scope["path"] == "/raw":
        await raw(scope, receive, send)
    else:
        await routes(scope, receive, send)


routes = Starlette(
    routes=[WebSocketRoute("/refuse/{how}", refuse), WebSocketRoute("/left/{how}", leave_and_see)]
)
"""

TLS = """
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


class Running:
    """The complete server with one application, started in a folder, and what it printed."""

    def __init__(self, folder: Path, application: str, *options: str) -> None:
        self.port = tcp_ports.free_port()
        path = [folder, APPS, *(LABS / name / "apps" for name in (*STANDS_ON, MAIN.parent.name))]
        path += [SOLUTIONS / name for name in STANDS_ON]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONUNBUFFERED": "1"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is on, as it is by default
        words = [sys.executable, str(MAIN), application, "--port", str(self.port), *options]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                words, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def await_start(self) -> None:
        until(lambda: "Serving on" in self.said or self.process.poll() is not None)
        assert "Serving on" in self.said, self.said

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=SECONDS)


def until(holds: Callable[[], Any]) -> bool:
    """Whether something comes to hold before time is over."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def running(folder: Path, application: str, *options: str) -> Iterator[Running]:
    one = Running(folder, application, *options)
    try:
        one.await_start()
        yield one
    finally:
        process.end_tree(one.process.pid, grace=3.0)
        one.process.wait(timeout=SECONDS)


@contextlib.contextmanager
def tls_in_front(folder: Path, behind: int) -> Iterator[tuple[int, ssl.SSLContext]]:
    """nginx that ends TLS, with a certificate made here: its port, and a context that trusts it."""
    program, openssl = nginx_config.command(), shutil.which("openssl")
    if program is None or openssl is None:
        pytest.skip("there is no nginx, or no openssl, on this machine")
    key, cert, port = folder / "key.pem", folder / "cert.pem", tcp_ports.free_port()
    words = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(words, check=True, capture_output=True)
    for file in (key, cert, folder):
        file.chmod(0o755)
    conf = folder / "nginx.conf"
    conf.write_text(TLS.format(folder=folder, port=port, behind=behind), encoding="utf-8")
    front = subprocess.Popen([program, "-e", "stderr", "-c", str(conf), "-g", "daemon off;"])
    try:
        assert until(lambda: tcp_ports.is_listening("127.0.0.1", port))
        yield port, ssl.create_default_context(cafile=str(cert))
    finally:
        process.end_tree(front.pid, grace=2.0)
        front.wait(timeout=SECONDS)


def check_starlette(http: httpx.Client, connect: Callable[..., Any]) -> None:
    """A body, the lifespan's state, and a WebSocket with a subprotocol and a message of 100,000 letters."""
    said = http.post("/body", content=b"x" * 300_000).json()
    assert said == {"ink": "blue", "length": 300_000, "scheme": "http"}
    with connect("/shout", subprotocols=["whisper", "shout"]) as link:
        assert link.subprotocol == "shout"
        for text in ("Ada", "Gödel", "y" * 100_000):
            link.send(text)
            assert link.recv(timeout=SECONDS) == f"{text.upper()} in blue"
        assert link.ping().wait(SECONDS)


@pytest.fixture
def starlette(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "page.py").write_text(STARLETTE, encoding="utf-8")
    with running(tmp_path, "page:app") as one:
        yield one


def test_starlette_with_lifespan_and_websockets(starlette: Running) -> None:
    def connect(path: str, **more: Any) -> Any:
        return websockets.sync.client.connect(f"ws://127.0.0.1:{starlette.port}{path}", **more)

    with httpx.Client(base_url=starlette.url) as http:
        check_starlette(http, connect)
    assert starlette.stop() == -signal.SIGTERM
    assert "opened" in starlette.said
    assert "closed" in starlette.said


def test_the_same_behind_nginx_with_tls(starlette: Running, tmp_path: Path) -> None:
    with tls_in_front(tmp_path, starlette.port) as (port, context):

        def connect(path: str, **more: Any) -> Any:
            return websockets.sync.client.connect(f"wss://127.0.0.1:{port}{path}", ssl=context, **more)

        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context) as http:
            check_starlette(http, connect)


def test_fastapi_with_parameters_and_websockets(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text(FASTAPI, encoding="utf-8")
    with running(tmp_path, "page:app", "--workers", "2") as one:
        answer = httpx.post(f"{one.url}/tasks/42", json={"title": "Ada"})
        assert (answer.status_code, answer.json()) == (201, {"number": 42, "title": "Ada", "done": False})
        assert httpx.post(f"{one.url}/tasks/42", json={}).status_code == 422
        assert httpx.get(f"{one.url}/openapi.json").json()["info"]["title"] == "FastAPI"
        with websockets.sync.client.connect(f"ws://127.0.0.1:{one.port}/count/7") as link:
            for count in (10, 13):
                link.send(b"abc")
                assert json.loads(link.recv(timeout=SECONDS)) == {"count": count}
        assert one.stop() == 0


HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "page.py").write_text(DOOR, encoding="utf-8")
    with running(tmp_path, "page:app") as one:
        yield one


@pytest.mark.parametrize(
    ("how", "status", "body"),
    [
        ("text", 401, b"no ticket"),
        ("stream", 404, b"no ticket, no tea"),
        ("file", 451, DOOR.encode()),
        ("empty", 204, b""),
    ],
)
def test_refusal_is_what_the_application_answers(door: Running, how: str, status: int, body: bytes) -> None:
    """The extension websocket.http.response: status, headers and body go out, and the connection ends."""
    answer = asked(door.port, HANDSHAKE % f"/refuse/{how}".encode())
    head, _, rest = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert fields[b"connection"] == b"close"
    assert b"date" in fields
    assert fields.get(b"www-authenticate") == (b"bearer" if how == "text" else None)
    if how == "stream":
        assert fields[b"transfer-encoding"] == b"chunked"
        assert rest == b"3\r\nno \r\n8\r\nticket, \r\n6\r\nno tea\r\n0\r\n\r\n"
    else:
        assert rest == body
        assert fields.get(b"content-length") == (None if status == 204 else b"%d" % len(body))
    assert until(lambda: "'websocket.disconnect', 'code': 1006" in door.said), door.said
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        websockets.sync.client.connect(f"ws://127.0.0.1:{door.port}/refuse/{how}")
    assert (refused.value.response.status_code, bytes(refused.value.response.body or b"")) == (status, body)
    assert "Traceback" not in door.said


def test_half_a_refusal_does_not_look_whole(door: Running) -> None:
    answer = asked(door.port, HANDSHAKE % b"/raw")
    assert answer == b"" or answer.endswith(b"content-length: 9\r\n\r\nhalf")
    assert until(lambda: "LookupError: half way" in door.said), door.said
    assert "['websocket.http.response']" in door.said
    assert "RuntimeError: websocket.accept is out of turn: a refusal has begun" in door.said


@pytest.mark.parametrize(
    ("how", "said", "logged"),
    [
        ("close", "closed", ""),  # it is closed: nothing is left to be done, and nothing is lost
        ("send", "", ""),  # raises OSError, of which Starlette makes an exception of its own: no error
        ("raise", "", "LookupError: its own"),
    ],
)
def test_application_that_goes_on_after_its_client_left(
    door: Running, how: str, said: str, logged: str
) -> None:
    """ASGI, "Disconnected Client": what `send` raises is not logged; what the application raises is."""
    with websockets.sync.client.connect(f"ws://127.0.0.1:{door.port}/left/{how}") as link:
        link.close(4001)
    assert door.stop() == -signal.SIGTERM
    assert "websocket.disconnect 4001" in door.said
    assert said in door.said
    assert logged in door.said
    assert ("Traceback" in door.said) == bool(logged), door.said


def asked(port: int, data: bytes) -> bytes:
    """What comes back until the connection ends."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65536):
                answer += piece
    return answer


def test_the_chat_of_lab_13(tmp_path: Path) -> None:
    """Two members hear each other; at SIGTERM both are told, and the process ends."""
    with running(tmp_path, "app:app", "--timeout-graceful-shutdown", "5") as one:
        room = f"ws://127.0.0.1:{one.port}/rooms/tea"
        with contextlib.ExitStack() as members:
            ada = members.enter_context(websockets.sync.client.connect(f"{room}?name=Ada"))
            grace = members.enter_context(websockets.sync.client.connect(f"{room}?name=Grace"))
            grace.send(json.dumps({"text": "Hello"}))
            for member in (ada, grace):
                heard = {"type": ""}
                while heard["type"] != "said":
                    heard = json.loads(member.recv(timeout=SECONDS))
                assert (heard["name"], heard["text"]) == ("Grace", "Hello")  # type: ignore[comparison-overlap, unused-ignore]
            one.process.send_signal(signal.SIGTERM)
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                while True:
                    ada.recv(timeout=SECONDS)
        assert one.process.wait(timeout=SECONDS) == -signal.SIGTERM
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", one.port), timeout=1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_no_child_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    """The lifeline of lab 15's NOTES: SIGKILL can't be caught, the end of a pipe can be read."""
    with running(tmp_path, "which_process_asgi:app", "--workers", "3") as one:
        assert until(lambda: one.said.count("Serving on") == 3)
        children = process.descendants(one.process.pid)
        assert len(children) == 3
        one.process.kill()
        one.process.wait(timeout=SECONDS)
        assert until(lambda: not list_running(children)), one.said
        assert one.said.count("app: shutdown, 0 in flight") == 3


STREAM = """
import asyncio

from framework import App, Request, StreamingResponse

app = App()


async def numbers():
    for number in range(8):
        yield f"{number}\\n"
        await asyncio.sleep(0.25)


async def silence():
    try:
        yield "begun"
        await asyncio.sleep(60)
    finally:
        print("let go", flush=True)


@app.get("/numbers")
async def counted(request: Request):
    return StreamingResponse(numbers())


@app.get("/silence")
async def silent(request: Request):
    return StreamingResponse(silence())
"""


def test_client_that_half_closes_gets_its_whole_stream(tmp_path: Path) -> None:
    """RFC 9112 §9.6 is about both sides; one that sends no more may read on. One that left is let go."""
    (tmp_path / "page.py").write_text(STREAM, encoding="utf-8")
    get = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running(tmp_path, "page:app") as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=SECONDS) as client:
            client.sendall(get % b"numbers")
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while data := client.recv(65536):
                answer += data
        assert answer.endswith(b"2\r\n7\n\r\n0\r\n\r\n"), answer
        with socket.create_connection(("127.0.0.1", one.port), timeout=SECONDS) as client:
            client.sendall(get % b"silence")
            while b"begun" not in client.recv(65536):
                pass
        assert until(lambda: "let go" in one.said), one.said


# --- reload -------------------------------------------------------------------------------------------

PAGE = "from which_process_asgi import edition\n\napp = edition({!r})\n"
MOMENT = 1_700_000_000_000_000_000  # nanoseconds: the beginning of a second


def save(path: Path, text: str, moment: int) -> None:
    """Save a file at this moment of one and the same second."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    os.utime(draft, ns=(MOMENT + moment, MOMENT + moment))
    draft.rename(path)


def edition_of(one: Running) -> Any:
    """Which edition answers; None while nobody does."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{one.url}/", timeout=SECONDS).json()["edition"]
    return None


def test_two_saves_within_a_second_serve_the_new_text(tmp_path: Path) -> None:
    """Bytecode is compared with its source by seconds and size: the reloader forgets it."""
    page = tmp_path / "page.py"
    save(page, PAGE.format("Ada"), 1)
    with running(tmp_path, "page:app", "--reload") as one:
        assert edition_of(one) == "Ada"
        assert list((tmp_path / "__pycache__").glob("page.*.pyc"))
        for moment, text in enumerate(("Eve", "Ida", "Ada"), 2):
            save(page, PAGE.format(text), moment)
            assert until(lambda text=text: edition_of(one) == text), one.said  # type: ignore[misc]


def test_files_that_cannot_be_read_do_not_end_the_reloader(tmp_path: Path) -> None:
    """Links to themselves, to nowhere and in a circle, a pipe, files and folders that come and go."""
    page = tmp_path / "page.py"
    save(page, PAGE.format("Ada"), 1)
    with running(tmp_path, "page:app", "--reload") as one:
        assert edition_of(one) == "Ada"
        (tmp_path / "loop.py").symlink_to("loop.py")
        (tmp_path / ".#page.py").symlink_to("ada@localhost.4242:1843")
        (tmp_path / "again").symlink_to(".", target_is_directory=True)
        os.mkfifo(tmp_path / "pipe.py")
        closed = tmp_path / "closed"
        closed.mkdir()
        (closed / "secret.py").touch()
        closed.chmod(0)
        try:
            for number in range(200):
                (tmp_path / f"wing{number}").mkdir()
                (tmp_path / f"wing{number}" / "short.py").touch()
                shutil.rmtree(tmp_path / f"wing{number}")
            save(page, PAGE.format("Grace"), 2)
            assert until(lambda: edition_of(one) == "Grace"), one.said
        finally:
            closed.chmod(0o700)
        assert one.process.poll() is None


# --- a lifespan that fails ----------------------------------------------------------------------------

FAILING = """
import asyncio


def failing(how):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            if how == "while serving":
                raise LookupError("the ink is gone")
            await receive()
            if how == "at shutdown":
                raise LookupError("the ink is gone")
            await send({"type": "lifespan.shutdown.failed", "message": "the ink is gone"})
        else:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"Hello, Ada"})

    return app


says_so, at_shutdown, while_serving = failing("says so"), failing("at shutdown"), failing("while serving")
"""
SHUTDOWN_FAILURE = 4


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "workers"])
@pytest.mark.parametrize("how", ["says_so", "at_shutdown", "while_serving"])
def test_lifespan_that_fails_late_is_said(tmp_path: Path, how: str, options: tuple[str, ...]) -> None:
    """What could not be closed is printed, and the exit code says it; requests are answered until then."""
    (tmp_path / "page.py").write_text(FAILING, encoding="utf-8")
    with running(tmp_path, f"page:{how}", *options) as one:
        assert httpx.get(f"{one.url}/").text == "Hello, Ada"
        if how == "while_serving":
            assert until(lambda: "LookupError: the ink is gone" in one.said), one.said
        assert one.stop() == SHUTDOWN_FAILURE, one.said
        assert "shutdown failed" in one.said
        assert "the ink is gone" in one.said


@pytest.mark.parametrize("how", ["says_so", "at_shutdown", "while_serving"])
def test_lab_12_says_it_too(tmp_path: Path, how: str) -> None:
    (tmp_path / "page.py").write_text(FAILING, encoding="utf-8")
    port = tcp_ports.free_port()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [tmp_path, APPS]))}
    words = [
        sys.executable,
        str(SOLUTIONS / "12-lifespan" / "lifespan.py"),
        f"page:{how}",
        "--port",
        str(port),
    ]
    with subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as one:
        try:
            assert until(lambda: tcp_ports.is_listening("127.0.0.1", port))
            assert httpx.get(f"http://127.0.0.1:{port}/").text == "Hello, Ada"
        finally:
            one.terminate()
        said = one.communicate(timeout=SECONDS)[1]
    assert one.returncode == SHUTDOWN_FAILURE, said
    assert "shutdown.failed: " in said
    assert "the ink is gone" in said


def list_running(pids: list[int]) -> list[int]:
    """Those that have neither ended nor are zombies."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and not process.zombies([pid])]
