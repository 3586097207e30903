"""Lab 17's solution, Starlette's GZipMiddleware and a2wsgi do the same to the same applications."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import sys
import zlib
from types import ModuleType
from typing import Any

import a2wsgi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.middleware.gzip import GZipMiddleware

from workshop.paths import APPS, LABS, SOLUTIONS

LAB = "17-middleware-composition"
APPLICATIONS = [str(LABS / LAB / "apps"), str(APPS)]


def loaded() -> ModuleType:
    path = SOLUTIONS / LAB / "middleware.py"
    spec = importlib.util.spec_from_file_location("middleware_solution", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path[:0] = APPLICATIONS
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.path[: len(APPLICATIONS)]
    return module


middleware = loaded()
quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
pieces = st.lists(st.binary(max_size=40) | st.just(b"text " * 200), min_size=1, max_size=5)
kinds = st.sampled_from([b"text/plain", b"application/json", b"image/png", b"video/mp4"])
encodings = st.sampled_from([b"gzip", b"br, gzip", b"identity", b"br", b""])
names = st.sampled_from(["X-Own", "Content-Language", "Set-Cookie"])
fields = st.lists(st.tuples(names, st.text("abc=1;", max_size=8).map(str.strip)), max_size=4)


def scope(*headers: tuple[bytes, bytes], method: str = "GET") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/caf\xe9",
        "raw_path": b"/caf%C3%A9",
        "query_string": b"a=%20",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }


def asked(app: Any, asked_scope: dict[str, Any], body: list[bytes]) -> tuple[int, list[Any], list[bytes]]:
    """Status, headers in order of their names, and the pieces of the body, of one call."""
    events = [
        {"type": "http.request", "body": data, "more_body": number < len(body)}
        for number, data in enumerate(body, 1)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: dict[str, Any]) -> None:
        sent.append(dict(message))

    async def run() -> None:
        await asyncio.wait_for(app(asked_scope, receive, send), 10)

    asyncio.run(run())
    headers = sorted((bytes(name), bytes(value)) for name, value in sent[0]["headers"])
    return sent[0]["status"], headers, [message.get("body", b"") for message in sent[1:]]


@quickly
@given(body=pieces, kind=kinds, accept=encodings, status=st.sampled_from([200, 206, 404]))
def test_gzip_agrees_with_starlette(body: list[bytes], kind: bytes, accept: bytes, status: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        for number, data in enumerate(body, 1):
            await send({"type": "http.response.body", "body": data, "more_body": number < len(body)})

    answers = []
    for layer in (middleware.gzip(app, minimum=500), GZipMiddleware(app, minimum_size=500, compresslevel=6)):
        got_status, headers, got = asked(layer, scope((b"accept-encoding", accept)), [b""])
        packed = (b"content-encoding", b"gzip") in headers
        text = zlib.decompress(b"".join(got), 31) if packed else b"".join(got)
        kept = [pair for pair in headers if pair[0] != b"content-length"]
        # As many messages as came in: a stream stays one.
        answers.append((got_status, kept, text, len(got)))
    assert answers[0] == answers[1]
    assert answers[0][2] == b"".join(body)


@quickly
@given(body=pieces, request=pieces, headers=fields, write=st.booleans())
def test_wsgi_under_asgi_agrees_with_a2wsgi(
    body: list[bytes], request: list[bytes], headers: list[tuple[str, str]], write: bool
) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        facts = {key: environ.get(key) for key in ("PATH_INFO", "QUERY_STRING", "SERVER_PORT", "HTTP_HOST")}
        seen.append((facts, environ["wsgi.input"].read()))
        send = start_response("201 Created", list(headers))
        if write:
            send(body[0])
        return iter(body[1:] if write else body)

    anything: Any = app
    mine = asked(middleware.asgi_from_wsgi(app, threads=1), scope(method="POST"), request)
    theirs = asked(a2wsgi.WSGIMiddleware(anything, workers=1), scope(method="POST"), request)
    assert mine[:2] == theirs[:2]
    assert b"".join(mine[2]) == b"".join(theirs[2]) == b"".join(body)
    assert seen[0] == seen[1]
    assert seen[0][1] == b"".join(request)


def called(app: Any, body: bytes) -> tuple[str, list[Any], list[bytes]]:
    """Status, headers and the chunks that are not empty, of one call of a WSGI application."""
    started: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9",
        "QUERY_STRING": "a=%20",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_OWN": "1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status, sorted(headers)]

    chunks = [chunk for chunk in app(environ, start_response) if chunk]
    return started[0], started[1], chunks


@quickly
@given(body=pieces, request=st.binary(max_size=300), status=st.sampled_from([200, 404, 503]))
def test_asgi_under_wsgi_agrees_with_a2wsgi(body: list[bytes], request: bytes, status: int) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        data, more = b"", True
        while more:
            event = await receive()
            data, more = data + event.get("body", b""), event.get("more_body", False)
        facts = ("method", "path", "query_string", "root_path", "scheme", "server")
        seen.append(([scope[key] for key in facts], sorted(scope["headers"]), data))
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-own", b"1")]})
        for number, data in enumerate(body, 1):
            await send({"type": "http.response.body", "body": data, "more_body": number < len(body)})

    mine = called(shared("mine")(app), request)
    theirs = called(shared("theirs")(app), request)
    assert mine == theirs
    assert seen[0] == seen[1]
    assert seen[0][2] == request


loop_thread = middleware.LoopThread()


def shared(whose: str) -> Any:
    """An adapter whose loop is the same for all examples: sixty threads would be too many."""
    if whose == "theirs":
        return lambda app: a2wsgi.ASGIMiddleware(app, loop=loop_thread.get())
    return lambda app: (
        lambda environ, start: middleware.Conversation(environ, loop_thread.get()).chunks(app, start)
    )
