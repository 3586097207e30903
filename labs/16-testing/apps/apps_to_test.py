"""Applications to try a test client on: `wsgi` and `asgi`. LOG notes what they live through, in order.

GET  /echo              what arrived, as JSON: method, path, query, headers, body; under ASGI the state's keys
GET  /cookies?a=1&b=2   a Set-Cookie for each (percent-encoded) pair of the query
GET  /mail?to=Ada       ASGI: answered by a task that startup began, so by one event loop for all
GET  /ticks             ASGI: a chunk and another, without end; it never looks whether anybody is there
GET  /news              ASGI: one chunk, then silence until the client has left
GET  /flood             ASGI: FLOOD chunks, as fast as `send` takes them; SENT has one number for each
GET  /cut               ASGI: one chunk of an unfinished response, and it returns
GET  /leaves-badly      ASGI: as /news, and raises when it hears that the client has left
GET  /ends-badly        ASGI: a whole response, and then it raises
GET  /background        ASGI: starts a task that goes on for ever, and answers
ws   /echo              says it back; "close 4001" closes with that code, "close" with none; "raise" raises,
                        "return" returns, "raise later" raises after the disconnect
ws   /closed            refused with 4403
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

LOG: list[str] = []
SENT: list[int] = []
FLOOD = 5000
FILES = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
tasks: set[asyncio.Task[None]] = set()
Scope = dict[str, Any]


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/cookies":
        start_response("204 No Content", cookies(environ["QUERY_STRING"]))
        return []
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    fields = [
        (key[5:].replace("_", "-").lower(), value) for key, value in environ.items() if key[:5] == "HTTP_"
    ]
    fields.append(("content-type", environ.get("CONTENT_TYPE", "")))
    value = echoed(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], fields, body)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def echoed(method: str, path: str, query: str, fields: list[tuple[str, str]], body: bytes) -> dict[str, Any]:
    text = body.decode("latin-1")
    return {"method": method, "path": path, "query": query, "headers": fields, "body": text}


def never_starts(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return [b"a body, and no status"]


def starts_again(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Begins, fails, and begins again with what it failed with: nothing has been sent yet."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise LookupError("no such page")
    except LookupError:
        start_response("500 Sorry", [("X-Why", "no such page")], sys.exc_info())
    return [b"sorry"]


def cookies(query: str) -> list[tuple[str, str]]:
    """A Set-Cookie for each pair, after one that is no pair, and between fields that only look like it."""
    pairs = [
        ("Set-Cookie", "crumbs"),
        *(("Set-Cookie", f"{name}={value}") for name, value in parse_qsl(query)),
    ]
    return [("Cache-Control", "max-age=60"), *pairs, ("X-Cookie", "chocolate=1")]


async def asgi(scope: Scope, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(scope["state"], receive, send)
    elif scope["type"] == "websocket":
        await converse(scope, receive, send)
    else:
        await PATHS.get(scope["path"], echo)(scope, receive, send)


async def live(state: dict[str, Any], receive: Any, send: Any) -> None:
    """One postman from startup to shutdown: a queue and a task, which belong to the loop of the startup."""
    await receive()
    state["letters"] = asyncio.Queue()
    postman = asyncio.create_task(carry(state["letters"]))
    LOG.append("startup")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    postman.cancel()
    await asyncio.wait({postman})
    LOG.append("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


async def carry(letters: asyncio.Queue[tuple[str, asyncio.Future[str]]]) -> None:
    while True:
        to, answer = await letters.get()
        answer.set_result(f"carried to {to}")


async def respond(send: Any, body: bytes, fields: Iterable[tuple[str, str]] = (), status: int = 200) -> None:
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    value = echoed(scope["method"], scope["path"], scope["query_string"].decode(), fields, body)
    value["state"] = sorted(scope.get("state", {}))
    scope.get("state", {})["left by a request"] = True
    await respond(send, json.dumps(value).encode(), [("Content-Type", "application/json")])


async def set_cookies(scope: Scope, receive: Any, send: Any) -> None:
    await respond(send, b"", cookies(scope["query_string"].decode()), 204)


async def mail(scope: Scope, receive: Any, send: Any) -> None:
    answer = asyncio.get_running_loop().create_future()
    scope["state"]["letters"].put_nowait((scope["query_string"].decode(), answer))
    await respond(send, (await answer).encode())


async def start_stream(send: Any) -> None:
    fields = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})


async def ticks(scope: Scope, receive: Any, send: Any) -> None:
    number = 0
    try:
        await start_stream(send)
        while True:
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            number += 1
            await asyncio.sleep(0.001)
    finally:
        LOG.append("ticks ended")


async def news(scope: Scope, receive: Any, send: Any) -> None:
    await start_stream(send)
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    while (event := await receive())["type"] == "http.request":
        pass
    LOG.append(event["type"])


async def flood(scope: Scope, receive: Any, send: Any) -> None:
    try:
        await send({"type": "http.response.start", "status": 200})
        for number in range(FLOOD):
            await send({"type": "http.response.body", "body": b"%d " % number, "more_body": True})
            SENT.append(number)
        await send({"type": "http.response.body"})
    finally:
        for _ in range(10):
            await asyncio.sleep(0)
        LOG.append("flood ended")


async def cut(scope: Scope, receive: Any, send: Any) -> None:
    await start_stream(send)
    await send({"type": "http.response.body", "body": b"one chunk", "more_body": True})


async def leave_badly(scope: Scope, receive: Any, send: Any) -> None:
    await news(scope, receive, send)
    raise LookupError(f"raised after the client had left: {scope['query_string'].decode()}")


async def end_badly(scope: Scope, receive: Any, send: Any) -> None:
    await respond(send, b"a whole response")
    raise LookupError(f"raised after the response: {scope['query_string'].decode()}")


async def work_for_ever() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        LOG.append("background task ended")


async def background(scope: Scope, receive: Any, send: Any) -> None:
    tasks.add(asyncio.create_task(work_for_ever()))
    await asyncio.sleep(0)
    await respond(send, b"it works in the background")


async def letters(scope: Scope, receive: Any, send: Any) -> None:
    await start_stream(send)
    for letter in scope["query_string"]:
        await send({"type": "http.response.body", "body": bytes([letter]), "more_body": True})
    await send({"type": "http.response.body"})
    while (event := await receive())["type"] == "http.request":
        pass
    LOG.append(f"after all letters: {event['type']}")


async def fail_at_once(scope: Scope, receive: Any, send: Any) -> None:
    raise LookupError(f"on purpose: {scope['query_string'].decode()}")


async def fail_late(scope: Scope, receive: Any, send: Any) -> None:
    await start_stream(send)
    await send({"type": "http.response.body", "body": b"one chunk", "more_body": True})
    raise LookupError(f"on purpose: {scope['query_string'].decode()}")


async def be_silent(scope: Scope, receive: Any, send: Any) -> None:
    await receive()


async def http_only(scope: Scope, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(f"this application knows http, not {scope['type']!r}")
    await echo(scope, receive, send)


async def no_disk(scope: Scope, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no disk"})


async def stop_silently(scope: Scope, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()


async def stop_badly(scope: Scope, receive: Any, send: Any) -> None:
    if scope["type"] != "lifespan":
        await echo(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise LookupError("raised at shutdown")


PATHS = {"/cookies": set_cookies, "/mail": mail, "/ticks": ticks, "/news": news, "/letters": letters}
PATHS |= {"/flood": flood, "/cut": cut, "/leaves-badly": leave_badly, "/ends-badly": end_badly}
PATHS |= {"/background": background}
PATHS |= {"/raise": fail_at_once, "/raise-late": fail_late, "/silent": be_silent}


async def converse(scope: Scope, receive: Any, send: Any) -> None:
    first = await receive()
    if first["type"] != "websocket.connect":
        raise TypeError(f"a WebSocket begins with websocket.connect, not {first['type']!r}")
    if scope["path"] == "/closed":
        await send({"type": "websocket.close", "code": 4403, "reason": "members only"})
        return
    if scope["path"] == "/scope":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(plain(scope))})
        scope.get("state", {})["left by a session"] = True
        await receive()
        return
    late = False
    chosen = next(iter(reversed(scope["subprotocols"])), None)
    await send({"type": "websocket.accept", "subprotocol": chosen})
    while (event := await receive())["type"] == "websocket.receive":
        text, data = event.get("text"), event.get("bytes")
        if isinstance(text, str) == isinstance(data, bytes) or (text is not None and data is not None):
            raise TypeError(
                f"websocket.receive has a str as text, or bytes: not text={text!r}, bytes={data!r}"
            )
        if text == "raise":
            raise LookupError("raised in the conversation")
        if text == "return":
            return
        if text == "raise later":
            late = True
            continue
        if text == "close":
            await send({"type": "websocket.close"})
        elif text is not None and text.startswith("close "):
            await send({"type": "websocket.close", "code": int(text[6:]), "reason": "as asked"})
        elif text is not None:
            await send({"type": "websocket.send", "text": text, "bytes": None})
        else:
            await send({"type": "websocket.send", "bytes": data})
    LOG.append(f"disconnect {event.get('code')}")
    if late:
        raise LookupError("raised after the disconnect")


def plain(scope: Scope) -> dict[str, Any]:
    """What a WebSocket's scope says, as far as JSON can."""
    keys = ("type", "scheme", "path", "method", "subprotocols")
    shown = {key: scope[key] for key in keys if key in scope}
    shown["query"] = scope["query_string"].decode()
    shown["headers"] = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    shown["state"] = sorted(scope.get("state", {}))
    return shown


def descriptors() -> int:
    """How many files, sockets and pipes this process has open."""
    return len(list(FILES.iterdir()))


def caught(function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """What a call came to: {"value": …}, or what it raised: type, message, and a code and reason if any."""
    try:
        return {"value": function(*args)}
    except NotImplementedError:
        raise
    except Exception as error:
        code, reason = getattr(error, "code", None), getattr(error, "reason", None)
        return {"type": type(error).__name__, "message": str(error), "code": code, "reason": reason}
