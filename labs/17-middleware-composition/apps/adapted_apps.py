"""Applications on the other side's servers, by lab 17's adapters, and layers around all that ASGI has.

layered        ASGI: an echo for WebSockets, and a lifespan, behind request_id, timing, gzip and bearer
over_asgi      ASGI: `site` below, in three threads of asgi_from_wsgi
over_wsgi      WSGI: lab 10's tasks API, by wsgi_from_asgi
twenty         ASGI: lab 10's tasks API behind twenty layers

site, WSGI     /flood?say=X     64 KiB at a time, 128 MiB at the most; what is made is counted
               /made?say=X      how many were made, and whether the iterable was closed, as JSON
               anything else    wsgi_behaviours

Each is built at the first request, so that a lab with holes in it can be started.
"""

import importlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

TOKENS = {"lovelace-1843": "Ada"}
PIECES = 2048
PIECE = b"." * (64 * 1024)
made: dict[str, int] = {}
closed: set[str] = set()


# --- the WSGI site ------------------------------------------------------------------------------------


class Flood:
    def __init__(self, name: str) -> None:
        self._name = name
        made[name] = 0

    def __iter__(self) -> Iterator[bytes]:
        while made[self._name] < PIECES:
            made[self._name] += 1
            yield PIECE

    def close(self) -> None:
        closed.add(self._name)


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    name = parse_qs(environ.get("QUERY_STRING", "")).get("say", [""])[0]
    if environ["PATH_INFO"] == "/flood":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return Flood(name)
    if environ["PATH_INFO"] == "/made":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"made": made.get(name, 0), "closed": name in closed}).encode()]
    behaviours: Any = importlib.import_module("wsgi_behaviours")
    answer: Iterable[bytes] = behaviours.application(environ, start_response)
    return answer


# --- an ASGI application of every kind ----------------------------------------------------------------


async def every_kind(scope: Message, receive: Receive, send: Send) -> None:
    """Echoes a body, or the messages of a WebSocket; its lifespan leaves a word in the state."""
    if scope["type"] == "lifespan":
        await receive()
        scope.get("state", {})["word"] = "started"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(scope.get("state", {}).get("word"))})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{scope.get('user')}: {event.get('text')}"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"an echo of nothing\n"})


@cache
def lab() -> Any:
    return importlib.import_module("middleware")


def layers() -> list[Any]:
    found = lab()
    return [found.request_id, found.timing, found.gzip, partial(found.bearer, tokens=TOKENS)]


@cache
def build(name: str) -> Any:
    if name == "layered":
        app = every_kind
        for layer in reversed(layers()):  # by hand: `stack` comes a task later
            app = layer(app)
        return app
    if name == "over_asgi":
        return lab().asgi_from_wsgi(site, threads=3)
    tasks: Any = importlib.import_module("app")
    return lab().wsgi_from_asgi(tasks.app) if name == "over_wsgi" else lab().stack(tasks.app, layers() * 5)


async def layered(scope: Message, receive: Receive, send: Send) -> None:
    await build("layered")(scope, receive, send)


async def over_asgi(scope: Message, receive: Receive, send: Send) -> None:
    await build("over_asgi")(scope, receive, send)


async def twenty(scope: Message, receive: Receive, send: Send) -> None:
    await build("twenty")(scope, receive, send)


def over_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    answer: Iterable[bytes] = build("over_wsgi")(environ, start_response)
    return answer
